export type PictureManifest = {
    /**
     * must be "ready"
     */
    status: string;
    source?: {
        width?: number;
        height?: number;
    };
    renditions?: PictureRendition[];
    placeholder?: {
        thumbhash?: string;
        color?: string;
    };
};
export type PictureRendition = {
    name: string;
    format: string;
    key: string;
    width: number;
    height: number;
};
export type Choice = {
    /**
     * where `processed/` is served; "" for the page's own origin
     */
    cdn: string;
    /**
     * how wide it will be shown, as in HTML; "100vw" by default
     */
    sizes?: string;
    /**
     * offer these alone: "avif", "webp", "png", "jpeg"
     */
    formats?: string[];
    /**
     * offer the one of this name alone, say "thumb"; else all that show the whole photo
     */
    rendition?: string;
};
export type Presentation = {
    /**
     * what the photo shows, for who cannot see it; "" if it only decorates
     */
    alt: string;
    loading?: "lazy" | "eager";
    fetchPriority?: "high" | "low" | "auto";
    /**
     * a blurred preview as background
     */
    placeholder?: boolean;
};
export type PictureData = {
    /**
     * best first
     */
    sources: {
        type: string;
        srcset: string;
    }[];
    /**
     * the largest that every browser can show; "" if there is no rendition
     */
    src: string;
    srcset: string;
    sizes: string;
    /**
     * of `src`, px; 0 if it is not known
     */
    width: number;
    height: number;
    /**
     * a data: URL, or ""
     */
    placeholder: string;
    /**
     * the mean colour, "#rrggbb", or ""
     */
    color: string;
};
/** What a browser is offered, best first; the last one present is the fallback. */
export declare const FORMATS: string[];
/**
 * Everything that a <picture> needs, for any framework: a source for each format but the last, and the last as the <img>.
 * @param {PictureManifest} manifest
 * @param {Choice} choice
 * @returns {PictureData}
 */
export declare function pictureData(manifest: PictureManifest, { cdn, sizes, formats, rendition }: Choice): PictureData;
/**
 * A <picture> whose <img> has the placeholder as its background until it has loaded.
 * @param {PictureManifest} manifest
 * @param {Choice & Presentation} options
 * @returns {HTMLPictureElement}
 */
export declare function pictureElement(manifest: PictureManifest, { placeholder, ...options }: Choice & Presentation): HTMLPictureElement;
/**
 * The HTML of a <picture>. A placeholder, if asked for, stays behind the photo, since nothing here takes it away.
 * @param {PictureManifest} manifest
 * @param {Choice & Presentation} options
 * @returns {string}
 */
export declare function pictureHtml(manifest: PictureManifest, { placeholder, ...options }: Choice & Presentation): string;
/**
 * The srcset of one format: the one asked for, or else the one that every browser can show.
 * @param {PictureManifest} manifest
 * @param {{cdn: string, format?: string}} options
 * @returns {string}
 */
export declare function srcset(manifest: PictureManifest, { cdn, format }: {
    cdn: string;
    format?: string;
}): string;
/**
 * A loader for next/image: of the whole renditions the smallest at least as wide as asked, else the largest. Without a
 * `format` its addresses have no extension, and the CDN chooses the format by `Accept`.
 * @param {PictureManifest} manifest
 * @param {{cdn: string, format?: string}} options
 * @returns {(request: {src: string, width: number, quality?: number}) => string}
 */
export declare function loader(manifest: PictureManifest, { cdn, format }: {
    cdn: string;
    format?: string;
}): (request: {
    src: string;
    width: number;
    quality?: number;
}) => string;
/**
 * The public URL of a key.
 * @param {string} cdn
 * @param {string} key
 * @returns {string}
 */
export declare function renditionUrl(cdn: string, key: string): string;
/**
 * The blurred preview of some 4 KB as a data: URL, or "" if the manifest has none.
 * @param {PictureManifest} manifest
 * @returns {string}
 */
export declare function placeholderUrl(manifest: PictureManifest): string;
/**
 * The CSS properties that show the placeholder behind an <img>: the preview, or else the mean colour.
 * @param {Pick<PictureData, "placeholder" | "color">} data
 * @returns {Record<string, string>} names as in `element.style`
 */
export declare function placeholderStyle({ placeholder, color }: Pick<PictureData, "placeholder" | "color">): Record<string, string>;
/**
 * The renditions that can be shown, in the manifest's order: of one name, one format, or those that show the whole photo.
 * In a recipe that only crops, "whole" are those of the largest one's proportions.
 * @template {PictureRendition} T
 * @param {Omit<PictureManifest, "renditions"> & {renditions?: T[]}} manifest
 * @param {{name?: string, format?: string, whole?: boolean}} [filter]
 * @returns {T[]}
 */
export declare function renditions<T extends PictureRendition>(manifest: Omit<PictureManifest, "renditions"> & {
    renditions?: T[];
}, { name, format, whole }?: {
    name?: string;
    format?: string;
    whole?: boolean;
}): T[];
