import { type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { AppError } from "@parley/core/error";
import { ChatService } from "../generated/acai/chat/chat_pb.js";
import { PROTOBUF } from "./body.ts";
import { type ApiEvent, type ApiResult, mediaType } from "./event.ts";

/** Twirp over JSON and protobuf: https://twitchtv.github.io/twirp/docs/spec_v7.html. Inside, everything is JSON. */

function methodOf({ rawPath }: Pick<ApiEvent, "rawPath">) {
  const name = rawPath.slice(rawPath.lastIndexOf("/") + 1);
  const method = ChatService.methods.find((one) => one.name === name);
  if (!method) throw new AppError("bad_route", "There is no such method.");
  return method;
}

/** The request in the contract's JSON shape, whatever the encoding and the case of its names; fields we do not know are dropped. */
export function readTwirp(event: ApiEvent): Record<string, unknown> {
  const { input } = methodOf(event);
  try {
    const message =
      mediaType(event) === PROTOBUF
        ? fromBinary(input, binaryBody(event))
        : fromJson(input, event.body as JsonValue, { ignoreUnknownFields: true });
    return toJson(input as DescMessage, message, { useProtoFieldName: true }) as Record<string, unknown>;
  } catch {
    // No cause: the decoder's error quotes what it could not read, and the text of messages stays out of the log.
    throw new AppError("malformed", `The body is not a ${input.name}.`);
  }
}

export function writeTwirp(
  event: ApiEvent,
  body: unknown,
): Pick<ApiResult, "headers" | "body" | "isBase64Encoded"> {
  const output: DescMessage = methodOf(event).output;
  const message = fromJson(output, body as JsonValue);
  if (mediaType(event) === PROTOBUF) {
    return {
      headers: { "content-type": PROTOBUF },
      body: Buffer.from(toBinary(output, message)).toString("base64"),
      isBase64Encoded: true,
    };
  }
  const json = toJson(output, message, { useProtoFieldName: true, alwaysEmitImplicit: true });
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(json) };
}

const binaryBody = ({ body, isBase64Encoded }: ApiEvent) =>
  typeof body === "string" ? Buffer.from(body, isBase64Encoded ? "base64" : "latin1") : Buffer.alloc(0);
