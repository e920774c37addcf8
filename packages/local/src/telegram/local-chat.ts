import { banner } from "../banner.ts";
import type { Settings } from "../env.ts";
import { openLogFile } from "../log-file.ts";
import { findBotApi } from "../shared-bot-api.ts";
import { startStack } from "../stack.ts";
import { runUntilStopped } from "../stop.ts";
import { runTelegramChat } from "./chat-terminal.ts";

/**
 * Talks to the local bot: that of a running `npm run dev`, or of a stack of its own. Resolves to the exit code.
 *
 * @param settings those of real bots are left aside: nobody can be another user's client
 */
export async function localChat({
  settings,
  dataDir,
}: {
  settings: Settings;
  dataDir: string;
}): Promise<number> {
  const running = await findBotApi(dataDir);
  return runUntilStopped(async (stopped) => {
    if (running !== undefined) {
      await runTelegramChat({ botApi: running, stopped });
      return 0;
    }
    const env = Object.fromEntries(
      Object.entries(settings).filter(([name]) => !name.startsWith("TELEGRAM_")),
    );
    const logFile = await openLogFile(dataDir);
    const stack = await startStack({ env, dataDir, telegram: true, log: logFile.write });
    try {
      process.stderr.write(banner(stack.summary, stack.startedInMs, process.stderr));
      await runTelegramChat({ botApi: stack.botApiUrl ?? "", stopped });
      return 0;
    } finally {
      await stack.close();
      await logFile.close();
    }
  });
}
