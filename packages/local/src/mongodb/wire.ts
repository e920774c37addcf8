import { BSON, type Document } from "mongodb";

/** 48,000,000 bytes as MongoDB has it, and what surrounds them. */
const MAX_MESSAGE_BYTES = 48_001_024;
const HEADER_BYTES = 16;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;

/** One request: a command with the database it is for, and how to answer it. */
export type Message = {
  command: Document;
  /** With its header. */
  bytes: number;
  /** Whether the client waits for an answer. */
  wantsReply: boolean;
  reply(document: Document): Buffer;
};

/** Takes the messages that a buffer holds whole. Throws on anything that is no message. */
export function takeMessages(buffer: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let offset = 0;
  while (buffer.length - offset >= HEADER_BYTES) {
    const size = buffer.readInt32LE(offset);
    if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) throw new Error(`a message of ${size} bytes`);
    if (buffer.length - offset < size) break;
    messages.push(parse(buffer.subarray(offset, offset + size)));
    offset += size;
  }
  return { messages, rest: buffer.subarray(offset) };
}

function parse(message: Buffer): Message {
  const requestId = message.readInt32LE(4);
  const opCode = message.readInt32LE(12);
  if (opCode === OP_MSG) return parseMsg(message, requestId);
  // The first hello of every connection, from before the server is known to read OP_MSG.
  if (opCode === OP_QUERY) return parseQuery(message, requestId);
  throw new Error(`operation ${opCode} is not spoken here`);
}

function parseMsg(message: Buffer, requestId: number): Message {
  const flags = message.readUInt32LE(HEADER_BYTES);
  const end = message.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  let command: Document = {};
  const sequences: Document = {};
  for (let at = HEADER_BYTES + 4; at < end; ) {
    const kind = message.readUInt8(at);
    const size = message.readInt32LE(at + 1);
    const section = message.subarray(at + 1, at + 1 + size);
    if (kind === 0) command = BSON.deserialize(section);
    else if (kind === 1) Object.assign(sequences, parseSequence(section));
    else throw new Error(`a section of kind ${kind}`);
    at += 1 + size;
  }
  return {
    command: { ...command, ...sequences },
    bytes: message.length,
    wantsReply: (flags & MORE_TO_COME) === 0,
    reply(document) {
      const body = BSON.serialize(document, { ignoreUndefined: true });
      // No flags, one section of kind 0.
      return frame(OP_MSG, requestId, [Buffer.alloc(5), body]);
    },
  };
}

/** Documents beside the command, under the name of the field that they belong to. */
function parseSequence(section: Buffer): Document {
  const nameEnd = section.indexOf(0, 4);
  const name = section.toString("utf8", 4, nameEnd);
  const documents: Document[] = [];
  for (let at = nameEnd + 1; at < section.length; ) {
    const size = section.readInt32LE(at);
    documents.push(BSON.deserialize(section.subarray(at, at + size)));
    at += size;
  }
  return { [name]: documents };
}

function parseQuery(message: Buffer, requestId: number): Message {
  const nameEnd = message.indexOf(0, HEADER_BYTES + 4);
  const namespace = message.toString("utf8", HEADER_BYTES + 4, nameEnd);
  const at = nameEnd + 9;
  const command = BSON.deserialize(message.subarray(at, at + message.readInt32LE(at)));
  return {
    command: { ...command, $db: namespace.split(".")[0] },
    bytes: message.length,
    wantsReply: true,
    reply(document) {
      const head = Buffer.alloc(20);
      // Flags: AwaitCapable. Then the cursor, where it starts, and one document.
      head.writeInt32LE(8, 0);
      head.writeInt32LE(1, 16);
      return frame(OP_REPLY, requestId, [head, BSON.serialize(document, { ignoreUndefined: true })]);
    },
  };
}

let lastRequestId = 0;

function frame(opCode: number, responseTo: number, parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeInt32LE(
    parts.reduce((sum, part) => sum + part.length, HEADER_BYTES),
    0,
  );
  lastRequestId = (lastRequestId + 1) & 0x7fffffff;
  header.writeInt32LE(lastRequestId, 4);
  header.writeInt32LE(responseTo, 8);
  header.writeInt32LE(opCode, 12);
  return Buffer.concat([header, ...parts]);
}
