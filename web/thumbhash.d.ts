export type ChannelHeader = {
    mean: number;
    scale: number;
    across: number;
    down: number;
};
export type Channel = {
    mean: number;
    waves: {
        fx: number;
        fy: number;
        amplitude: number;
    }[];
};
export type Image = {
    width: number;
    height: number;
    hasAlpha: boolean;
    rows: Uint8ClampedArray;
};
/**
 * A small PNG of the hash, or "" if it is none: a placeholder is not worth an error.
 * @param {string} base64
 * @returns {string} a data: URL of some 4 KB
 */
export declare function thumbHashUrl(base64: string): string;
