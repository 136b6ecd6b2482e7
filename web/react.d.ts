import type { ComponentPropsWithRef, ReactElement } from "react";
import type { PictureManifest } from "./picture.js";
import type { Manifest, Options, Phase, UploadError } from "./upload.js";
export type ImageUpload = {
    /**
     * ends one that is running; null where there is no
     * manifest, and then `error` says why. It never rejects.
     */
    upload: (file: File | Blob | null | undefined) => Promise<Manifest | null>;
    phase: Phase | "idle";
    /**
     * of the sending, 0 to 1
     */
    progress: number;
    result: Manifest | null;
    error: UploadError | null;
    /**
     * the last file once more, or its waiting if it is stored already
     */
    retry: () => Promise<Manifest | null>;
    /**
     * back to `idle`
     */
    abort: () => void;
};
export type PictureOptions = {
    manifest: PictureManifest;
    cdn: string;
    alt: string;
    sizes?: string;
    rendition?: string;
    placeholder?: boolean;
};
export type PictureProps = PictureOptions & Omit<ComponentPropsWithRef<"img">, "src" | "srcSet" | "width" | "height" | keyof PictureOptions>;
/**
 * One upload at a time, and what became of it. Its functions never change; unmounting ends what is running.
 * @param {Options} options upload.js's; the newest `token` and `onProgress` count, also for an upload that is running
 * @returns {ImageUpload}
 */
export declare function useImageUpload(options: Options): ImageUpload;
/**
 * A responsive <picture> whose size is known before it loads, over a blurred preview until it has. Everything else
 * that is given goes to its <img>.
 * @param {PictureProps} props
 * @returns {ReactElement}
 */
export declare function Picture({ manifest, cdn, alt, sizes, rendition, placeholder, style, onLoad, ...others }: PictureProps): ReactElement;
