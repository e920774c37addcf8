import { turnTraceSuite } from "../support/turn-trace.ts";

turnTraceSuite({ name: "continue-conversation", entry: "api/continue-conversation.ts" });
