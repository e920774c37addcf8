/** Twirp's codec: deployed with the functions that Twirp has a method for, and loaded when it is spoken. */
export const rpc = () => import("./twirp.ts");
