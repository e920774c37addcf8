import { elapsedMs, type Telemetry } from "../telemetry.ts";
import type { ChatModel, ModelRequest, ModelResponse } from "./chat-model.ts";

/** One request to the model, counted with its time and tokens, whether or not it succeeds. */
export async function callModel(
  model: ChatModel,
  request: ModelRequest,
  telemetry: Telemetry,
): Promise<ModelResponse> {
  const dimensions = { model: model.name };
  const startedAt = performance.now();
  telemetry.count("ModelCalls", 1, dimensions);
  telemetry.annotate(dimensions);
  try {
    const response = await model.respond(request);
    telemetry.count("ModelInputTokens", response.usage.input, dimensions);
    telemetry.count("ModelCachedTokens", response.usage.cached, dimensions);
    telemetry.count("ModelOutputTokens", response.usage.output, dimensions);
    return response;
  } catch (error) {
    telemetry.count("ModelFailures", 1, dimensions);
    throw error;
  } finally {
    telemetry.count("ModelDuration", elapsedMs(startedAt), dimensions);
  }
}
