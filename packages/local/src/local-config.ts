/** For a client of a server on this machine, which takes any credentials: a real account's have no business there. */
export const localConfig = (endpoint: string, region = "us-east-1") => ({
  endpoint,
  region,
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
});
