/** The worker and its queue, the same on a laptop and in a deployment. */
export const queueSettings = {
  workerTimeoutS: 120,
  /** Above the worker's time limit and the turn's lease: nobody else works on an update before that. */
  visibilityTimeoutS: 150,
  /** Three attempts, and one more receive in which the user is told. */
  maxReceives: 4,
  /** Nobody holds a connection open for the worker's answer: a model may take longer there than behind the API. */
  modelTimeoutMs: 60_000,
};
