import {
  type JsonReadOptions,
  type JsonValue,
  MessageType,
  type PartialFieldInfo,
  type PartialMessage,
  ScalarType,
} from "@protobuf-ts/runtime";
import { type MethodInfo, ServiceType, type UnaryCall } from "@protobuf-ts/runtime-rpc";
import { TwirpFetchTransport, type TwirpOptions } from "@protobuf-ts/twirp-transport";

/**
 * `acai.chat` as the original service published it, written down by hand for an implementation of protobuf and Twirp
 * that is not the product's. Names and numbers are a second witness here: do not derive them from ours.
 */

export type SessionMetadata = { platform: string; userId: string; chatId: string };
export type Timestamp = { seconds: bigint; nanos: number };
export type Message = { id: string; role: number; content: string; timestamp?: Timestamp };
export type Conversation = { id: string; title: string; timestamp?: Timestamp; messages: Message[] };
type StartRequest = { message: string; sessionMetadata?: SessionMetadata };
type StartResponse = { conversationId: string; title: string; reply: string };
type ContinueRequest = StartRequest & { conversationId: string };
type ContinueResponse = { reply: string };
type ListResponse = { conversations: Conversation[] };
type DescribeRequest = { conversationId: string };
type DescribeResponse = { conversation?: Conversation };
type Paging = { pageSize: number; pageToken: string };

export const Role = { UNKNOWN: 0, USER: 1, ASSISTANT: 2 } as const;

type Type<T extends object> = MessageType<T>;
const text = (no: number, name: string): PartialFieldInfo => ({
  no,
  name,
  kind: "scalar",
  T: ScalarType.STRING,
});
const int32 = (no: number, name: string): PartialFieldInfo => ({
  no,
  name,
  kind: "scalar",
  T: ScalarType.INT32,
});
const one = <T extends object>(no: number, name: string, type: Type<T>): PartialFieldInfo => ({
  no,
  name,
  kind: "message",
  T: () => type,
});
const many = <T extends object>(no: number, name: string, type: Type<T>): PartialFieldInfo => ({
  no,
  name,
  kind: "message",
  repeat: 1,
  T: () => type,
});
const message = <T extends object>(name: string, fields: PartialFieldInfo[]): Type<T> =>
  new MessageType<T>(`acai.chat.${name}`, fields);

/** google.protobuf.Timestamp, which JSON has as RFC 3339 text; written to the millisecond. */
class TimestampType extends MessageType<Timestamp> {
  constructor() {
    super("google.protobuf.Timestamp", [
      { no: 1, name: "seconds", kind: "scalar", T: ScalarType.INT64, L: 0 },
      { no: 2, name: "nanos", kind: "scalar", T: ScalarType.INT32 },
    ]);
  }

  override internalJsonRead(json: JsonValue, _options: JsonReadOptions, target?: Timestamp): Timestamp {
    const rfc3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(
      typeof json === "string" ? json : "",
    );
    if (!rfc3339) throw new Error(`not a timestamp: ${JSON.stringify(json)}`);
    const [, second = "", fraction = ""] = rfc3339;
    return Object.assign(target ?? this.create(), {
      seconds: BigInt(Date.parse(`${second}Z`) / 1000),
      nanos: Number(fraction.padEnd(9, "0")),
    });
  }

  override internalJsonWrite({ seconds, nanos }: Timestamp): JsonValue {
    return new Date(Number(seconds) * 1000 + nanos / 1_000_000).toISOString();
  }
}

const timestamp = new TimestampType();
const sessionMetadata = message<SessionMetadata>("SessionMetadata", [
  text(1, "platform"),
  text(2, "user_id"),
  text(3, "chat_id"),
]);
const chatMessage = message<Message>("Conversation.Message", [
  text(1, "id"),
  { no: 2, name: "role", kind: "enum", T: () => ["acai.chat.Conversation.Role", Role] },
  text(3, "content"),
  one(4, "timestamp", timestamp),
]);
const conversation = message<Conversation>("Conversation", [
  text(1, "id"),
  text(2, "title"),
  one(3, "timestamp", timestamp),
  many(4, "messages", chatMessage),
]);

const startRequest = message<StartRequest>("StartConversationRequest", [
  text(1, "message"),
  one(2, "session_metadata", sessionMetadata),
]);
const startResponse = message<StartResponse>("StartConversationResponse", [
  text(1, "conversation_id"),
  text(2, "title"),
  text(3, "reply"),
]);
const continueRequest = message<ContinueRequest>("ContinueConversationRequest", [
  text(1, "conversation_id"),
  text(2, "message"),
  one(3, "session_metadata", sessionMetadata),
]);
const continueResponse = message<ContinueResponse>("ContinueConversationResponse", [text(1, "reply")]);
const listRequest = message<object>("ListConversationsRequest", []);
const listResponse = message<ListResponse>("ListConversationsResponse", [
  many(1, "conversations", conversation),
]);
const describeRequest = message<DescribeRequest>("DescribeConversationRequest", [text(1, "conversation_id")]);
const describeResponse = message<DescribeResponse>("DescribeConversationResponse", [
  one(1, "conversation", conversation),
]);

/** Requests and responses as the original's clients know them. */
export const original = {
  StartConversation: { request: startRequest, response: startResponse },
  ContinueConversation: { request: continueRequest, response: continueResponse },
  ListConversations: { request: listRequest, response: listResponse },
  DescribeConversation: { request: describeRequest, response: describeResponse },
} as const;

type Usage = { model: string; inputTokens: number; cachedTokens: number; outputTokens: number };
const usage = message<Usage>("Usage", [
  text(1, "model"),
  int32(2, "input_tokens"),
  int32(3, "cached_tokens"),
  int32(4, "output_tokens"),
]);

/** The same with what the product added, under numbers of its own. */
export const current = {
  StartConversation: {
    request: startRequest,
    response: message<StartResponse & { usage?: Usage }>("StartConversationResponse", [
      text(1, "conversation_id"),
      text(2, "title"),
      text(3, "reply"),
      one(4, "usage", usage),
    ]),
  },
  ContinueConversation: {
    request: continueRequest,
    response: message<ContinueResponse & { conversationId: string; title: string; usage?: Usage }>(
      "ContinueConversationResponse",
      [text(1, "reply"), text(2, "conversation_id"), text(3, "title"), one(4, "usage", usage)],
    ),
  },
  ListConversations: {
    request: message<Paging>("ListConversationsRequest", [int32(1, "page_size"), text(2, "page_token")]),
    response: message<ListResponse & { nextPageToken: string }>("ListConversationsResponse", [
      many(1, "conversations", conversation),
      text(2, "next_page_token"),
    ]),
  },
  DescribeConversation: {
    request: message<DescribeRequest & Paging>("DescribeConversationRequest", [
      text(1, "conversation_id"),
      int32(2, "page_size"),
      text(3, "page_token"),
    ]),
    response: message<DescribeResponse & { nextPageToken: string }>("DescribeConversationResponse", [
      one(1, "conversation", conversation),
      text(2, "next_page_token"),
    ]),
  },
} as const;

export type Protocol = typeof original | typeof current;
export type Method = keyof Protocol;
type Of<T> = T extends MessageType<infer M> ? M : never;
export type RequestOf<P extends Protocol, M extends Method> = Of<P[M]["request"]>;
export type ResponseOf<P extends Protocol, M extends Method> = Of<P[M]["response"]>;

/** A Twirp client as a generator would make it from the protocol. Its calls reject with RpcError. */
export function twirpClient<P extends Protocol>(
  protocol: P,
  options: Pick<TwirpOptions, "sendJson" | "jsonOptions"> & { url: string; meta?: Record<string, string> },
) {
  const { url, meta = {}, ...rest } = options;
  const transport = new TwirpFetchTransport({ ...rest, baseUrl: `${url}/twirp` });
  const types = Object.entries(protocol).map(([name, { request, response }]) => ({
    name,
    options: {},
    I: request as Type<object>,
    O: response as Type<object>,
  }));
  const unknown = { name: "ForgetConversation", options: {}, I: listRequest, O: startResponse };
  const { methods } = new ServiceType("acai.chat.ChatService", [...types, unknown]);

  const call = <I extends object, O extends object>(name: string) => {
    const method = methods.find((one) => one.name === name) as unknown as MethodInfo<I, O>;
    return (request: PartialMessage<I>, headers: Record<string, string> = {}): UnaryCall<I, O> =>
      transport.unary(
        method,
        method.I.create(request),
        transport.mergeOptions({ meta: { ...meta, ...headers } }),
      );
  };
  const typed = <M extends Method>(name: M) => call<RequestOf<P, M>, ResponseOf<P, M>>(name);
  return {
    start: typed("StartConversation"),
    continue: typed("ContinueConversation"),
    list: typed("ListConversations"),
    describe: typed("DescribeConversation"),
    /** A method that the service never had. */
    forget: call<object, object>("ForgetConversation"),
  };
}
