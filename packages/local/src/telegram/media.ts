import type { MessageContent } from "./types.ts";
import { ControlError, type World } from "./world.ts";

export type Location = { latitude: number; longitude: number };

/** What a person can send beside text; `true` stands for something ordinary of the kind. */
export type Media = {
  location?: Location;
  photo?: true;
  voice?: true | { duration?: number };
  sticker?: true | { emoji?: string };
  document?: true | { file_name?: string; mime_type?: string };
};

/** The content of a message with one of these, or undefined when there is none of them. */
export function mediaContent(media: Media, world: World): MessageContent | undefined {
  const { location, photo, voice, sticker, document } = media;
  if (location !== undefined) return { location: checked(location) };
  if (photo !== undefined) {
    const sizes = [90, 320, 1280].map((width) => ({ width, height: (width * 3) / 4 }));
    return { photo: sizes.map((size) => ({ ...file(world, "photos", "jpg", size.width * 100), ...size })) };
  }
  if (voice !== undefined) {
    const { duration = 3 } = voice === true ? {} : voice;
    return { voice: { ...file(world, "voice", "oga", duration * 2_000), duration, mime_type: "audio/ogg" } };
  }
  if (sticker !== undefined) {
    const { emoji = "\u{1f44d}" } = sticker === true ? {} : sticker;
    const looks = { type: "regular", width: 512, height: 512, is_animated: false, is_video: false, emoji };
    return { sticker: { ...file(world, "stickers", "webp", 20_000), ...looks } };
  }
  if (document !== undefined) {
    const { file_name = "notes.txt", mime_type = "text/plain" } = document === true ? {} : document;
    return { document: { ...file(world, "documents", "txt", 1_000), file_name, mime_type } };
  }
  return undefined;
}

function checked({ latitude, longitude }: Location): Location {
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) {
    throw new ControlError("a location is { latitude: -90 to 90, longitude: -180 to 180 }");
  }
  return { latitude, longitude };
}

function file(world: World, folder: string, extension: string, file_size: number) {
  const number = world.files.size + 1;
  const file_id = `AgACAgQAAxkBAAI${String(number).padStart(8, "0")}`;
  const file_unique_id = `AQAD${String(number).padStart(8, "0")}`;
  world.files.set(file_id, {
    ...{ file_id, file_unique_id, file_size },
    file_path: `${folder}/file_${number}.${extension}`,
  });
  return { file_id, file_unique_id, file_size };
}
