/** The one place of the edge that reads the environment; Powertools and AWS's SDK read theirs themselves. */
export const environment = process.env;
