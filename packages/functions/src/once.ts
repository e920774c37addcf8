/** Builds at the first call and keeps what was built; a build that throws is tried again at the next call. */
export function once<T>(build: () => T): () => T {
  let built: { value: T } | undefined;
  return () => {
    built ??= { value: build() };
    return built.value;
  };
}
