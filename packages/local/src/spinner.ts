const FRAMES = ["|", "/", "-", "\\"];
const CLEAR_LINE = "\r\u001b[2K";

/** Shows on a terminal that something is under way, and for how many seconds. Returns what ends it. */
export function startSpinner(stream: NodeJS.WriteStream): () => void {
  if (!stream.isTTY) return () => {};
  const startedAt = performance.now();
  let frame = 0;
  const draw = () => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    stream.write(`${CLEAR_LINE}${FRAMES[frame++ % FRAMES.length]} ${seconds} s`);
  };
  draw();
  const timer = setInterval(draw, 100);
  return () => {
    clearInterval(timer);
    stream.write(CLEAR_LINE);
  };
}
