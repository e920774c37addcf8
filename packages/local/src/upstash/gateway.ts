import {
  BadRequest,
  type Command,
  commandFromUrl,
  errorText,
  parseCommand,
  parseCommands,
  refusalOf,
} from "./command.ts";
import { type Encoding, type Reply, renderError, renderReply } from "./reply.ts";
import { RedisUnavailable, type RespConnection, TransactionAborted } from "./resp.ts";
import { createScriptCompat } from "./script-compat.ts";

/** As Upstash has it for its smaller plans. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

export interface GatewayRequest {
  url: URL;
  body: string;
  /** Bytes of the body as sent; past MAX_BODY_BYTES `body` is incomplete. */
  size: number;
  encoding: Encoding;
}

/** `body` is JSON. */
export interface GatewayAnswer {
  status: 200 | 400 | 500 | 503;
  body: string;
}

/** Upstash's REST semantics over a Redis connection, without the HTTP around them. Never throws. */
export function createGateway(
  connection: RespConnection,
): (request: GatewayRequest) => Promise<GatewayAnswer> {
  const compat = createScriptCompat();

  function presented(command: Command, reply: Reply | undefined): Reply {
    if (reply instanceof Error) return new Error(errorText(reply.message, command));
    return compat.fromRedis(command, reply ?? null);
  }

  async function one(command: Command, encoding: Encoding): Promise<GatewayAnswer> {
    const refusal = refusalOf(command);
    if (refusal !== undefined) throw new BadRequest(refusal);
    const [reply] = await connection.run([compat.toRedis(command)]);
    const answer = presented(command, reply);
    return { status: answer instanceof Error ? 400 : 200, body: renderReply(answer, encoding) };
  }

  async function pipeline(commands: Command[], encoding: Encoding): Promise<GatewayAnswer> {
    const refusals = commands.map(refusalOf);
    const allowed = commands.filter((_command, index) => refusals[index] === undefined);
    const replies = await connection.run(allowed.map(compat.toRedis));
    const results = commands.map((command, index) => {
      const refusal = refusals[index];
      if (refusal !== undefined) return renderError(refusal);
      return renderReply(presented(command, replies.shift()), encoding);
    });
    return { status: 200, body: `[${results.join(",")}]` };
  }

  async function transaction(commands: Command[], encoding: Encoding): Promise<GatewayAnswer> {
    const refusal = commands.map(refusalOf).find((message) => message !== undefined);
    if (refusal !== undefined) throw new BadRequest(refusal);
    const replies = await connection.transaction(commands.map(compat.toRedis));
    const results = commands.map((command, index) =>
      renderReply(presented(command, replies[index]), encoding),
    );
    return { status: 200, body: `[${results.join(",")}]` };
  }

  async function dispatch({ url, body, size, encoding }: GatewayRequest): Promise<GatewayAnswer> {
    if (size > MAX_BODY_BYTES) {
      throw new BadRequest(
        `ERR max request size exceeded. Limit: ${MAX_BODY_BYTES} bytes, Actual: ${size} bytes`,
      );
    }
    if (url.pathname === "/pipeline") return pipeline(parseCommands(body), encoding);
    if (url.pathname === "/multi-exec") return transaction(parseCommands(body), encoding);
    return one(url.pathname === "/" ? parseCommand(body) : commandFromUrl(url, body), encoding);
  }

  return async (request) => {
    try {
      return await dispatch(request);
    } catch (error) {
      return failure(error);
    }
  };
}

function failure(error: unknown): GatewayAnswer {
  if (error instanceof BadRequest) return { status: 400, body: renderError(error.message) };
  if (error instanceof TransactionAborted) {
    return { status: 400, body: renderError(errorText(error.message, error.command)) };
  }
  if (error instanceof RedisUnavailable) return { status: 503, body: renderError(error.message) };
  return { status: 500, body: renderError("ERR internal error of the gateway") };
}
