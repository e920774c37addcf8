/** A module that fails while it is being imported. */
export const handler: unknown = await Promise.reject(new Error("broken at import"));
