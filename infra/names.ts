/** `start-conversation` is StartConversation: what the code calls a function, and what the deployment calls it. */
export const pascal = (name: string) =>
  name.replace(/(^|-)(\w)/g, (_, _dash, letter: string) => letter.toUpperCase());
