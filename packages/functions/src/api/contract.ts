import * as z from "@parley/core/schema";

/**
 * The wire contract of every operation, shared by REST, Twirp JSON and Twirp protobuf (whose names and numbers are in
 * proto/): what validates requests is also what the API's documentation is generated from.
 */

const MAX_MESSAGE_BYTES = 16 * 1024;

/** proto3 has no absent scalars: an empty string or a zero is one. */
const absentWhenEmpty = <T extends z.ZodMiniType>(schema: T) =>
  z.preprocess((value) => (value === "" || value === 0 || value === "0" ? undefined : value), schema);

/**
 * Text that UTF-8 can hold: a lone surrogate becomes U+FFFD here, and not somewhere on the way to the store. What is
 * documented goes before the transformation, for only its input is documented.
 */
const text = (schema: z.ZodMiniString<string>) =>
  z.pipe(
    schema,
    z.transform((value) => value.toWellFormed()),
  );
const name = (max: number, example: string) =>
  text(z.string().check(z.minLength(1), z.maxLength(max), z.meta({ examples: [example] })));

const message = text(
  z.string().check(
    z.meta({
      description: "What the user says: up to 16 KB of UTF-8, not blank",
      examples: ["What's the weather in Barcelona?"],
      // JSON Schema counts characters: as many as there are bytes is a bound that nothing allowed is over.
      maxLength: MAX_MESSAGE_BYTES,
      pattern: "\\S",
    }),
  ),
).check(
  z.refine((value) => value.trim() !== "", "must not be blank"),
  z.refine(
    (value) => Buffer.byteLength(value) <= MAX_MESSAGE_BYTES,
    `must not be over ${MAX_MESSAGE_BYTES} bytes of UTF-8`,
  ),
);

const sessionMetadata = z
  .strictObject({
    platform: name(32, "api"),
    user_id: name(128, "ada"),
    chat_id: name(128, "desk"),
  })
  .check(
    z.meta({ description: "Where a client that keeps no conversation id is: one chat of one platform" }),
  );

const conversationId = z
  .string()
  .check(z.meta({ description: "Opaque", examples: ["conv_01m81xesxph6nrc2e9qzxpy9wx"] }));
const pageToken = absentWhenEmpty(z.optional(z.string().check(z.maxLength(1_000)))).check(
  z.meta({ description: "The last page's next_page_token" }),
);
const pageSize = (max: number, byDefault: number) =>
  absentWhenEmpty(z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(max)), byDefault));

const nextPageToken = z.string().check(z.meta({ description: "Empty on the last page" }));
const timestamp = z.iso.datetime();

const tokens = z.int().check(z.minimum(0));
const usage = z
  .object({ model: z.string(), input_tokens: tokens, cached_tokens: tokens, output_tokens: tokens })
  .check(
    z.meta({
      description:
        "What the provider counted for the reply, its tools' rounds included; cached_tokens are part of input_tokens",
    }),
  );
const turnResponse = z.object({
  conversation_id: conversationId,
  title: z.string(),
  reply: z.string(),
  usage,
});
const conversation = z.object({ id: conversationId, title: z.string(), timestamp });
const chatMessage = z.object({
  id: z.string(),
  role: z.enum(["USER", "ASSISTANT"]),
  content: z.string(),
  timestamp,
});

export const startConversation = {
  request: z.strictObject({ message, session_metadata: z.optional(sessionMetadata) }),
  response: turnResponse,
};

export const continueConversation = {
  request: z
    .strictObject({
      conversation_id: absentWhenEmpty(z.optional(conversationId)),
      message,
      session_metadata: z.optional(sessionMetadata),
    })
    .check(
      z.refine(
        ({ conversation_id, session_metadata }) =>
          conversation_id !== undefined || session_metadata !== undefined,
        { path: ["session_metadata"], error: "is required without a conversation_id" },
      ),
      // The same in JSON Schema.
      z.meta({
        anyOf: [
          {
            title: "by id",
            required: ["conversation_id"],
            properties: { conversation_id: { minLength: 1 } },
          },
          { title: "by session", required: ["session_metadata"] },
        ],
      }),
    ),
  response: turnResponse,
};

export const listConversations = {
  request: z.strictObject({ page_size: pageSize(100, 50), page_token: pageToken }),
  response: z.object({ conversations: z.array(conversation), next_page_token: nextPageToken }),
};

export const describeConversation = {
  request: z.strictObject({
    conversation_id: conversationId,
    page_size: pageSize(100, 100),
    page_token: pageToken,
  }),
  response: z.object({
    conversation: z.extend(conversation, { messages: z.array(chatMessage) }),
    next_page_token: nextPageToken,
  }),
};

export const deleteConversation = { request: z.strictObject({ conversation_id: conversationId }) };

export const exportConversation = {
  request: z.strictObject({ conversation_id: conversationId }),
  response: describeConversation.response.shape.conversation,
};
