export type Phase = "preparing" | "signing" | "uploading" | "processing" | "ready" | "rejected" | "failed";
export type UploadState = {
    phase: Phase;
    /**
     * bytes that were sent
     */
    loaded: number;
    /**
     * bytes to send
     */
    total: number;
    /**
     * the source's key, from `uploading` on
     */
    key?: string;
    /**
     * with `ready`
     */
    manifest?: Manifest;
    /**
     * with `rejected` and `failed`
     */
    error?: UploadError;
};
export type Options = {
    /**
     * where the API is, `https://...`, with its stage if it has one
     */
    api: string;
    /**
     * who uploads; a function is asked again, with `refresh`, after a 401
     */
    token?: Token;
    onProgress?: (state: UploadState) => void;
    /**
     * ends it, by rejecting with its reason. What has arrived by then stays
     */
    signal?: AbortSignal;
    /**
     * groups uploads in keys
     */
    articleId?: string;
    /**
     * what the server accepts, where the page knows it; else the server says so before bytes are sent
     */
    limits?: Limits;
    /**
     * how many files are sent at once on this page: 4
     */
    concurrency?: number;
    /**
     * where uploads are kept in mind while they are processed: `sessionStorage`
     */
    storage?: Storage | null;
};
export type Token = string | ((ask: {
    refresh: boolean;
}) => string | Promise<string>);
export type Limits = {
    maxBytes?: number;
    contentTypes?: string[];
};
export type Grant = {
    method: "PUT" | "POST";
    uploadUrl: string;
    /**
     * of a PUT: exactly these are sent
     */
    headers?: Record<string, string>;
    /**
     * of a POST: they go before the file
     */
    fields?: Record<string, string>;
    key: string;
    articleId: string;
    /**
     * seconds
     */
    expiresIn: number;
    expiresAt: string;
    statusUrl: string;
    maxBytes: number;
};
export type PendingUpload = {
    key: string;
    /**
     * of the file
     */
    name: string;
    /**
     * bytes
     */
    size: number;
    type: string;
    /**
     * ms since 1970
     */
    startedAt: number;
};
export type Rendition = {
    name: string;
    format: string;
    key: string;
    contentType: string;
    /**
     * px
     */
    width: number;
    /**
     * px
     */
    height: number;
    bytes: number;
};
export type Manifest = {
    schema: number;
    status: "ready" | "rejected" | "failed" | "removed";
    revision: string;
    /**
     * width and height as displayed, px
     */
    source: {
        key: string;
        etag: string;
        versionId?: string;
        sequencer?: string;
        size: number;
        contentType?: string;
        width?: number;
        height?: number;
    };
    renditions: Rendition[];
    placeholder?: {
        thumbhash: string;
        color: string;
    };
    rejection?: {
        code: string;
        message: string;
    };
    failure?: {
        code: string;
        message: string;
    };
    recipe: string;
    processedAt: string;
};
/** Why an upload came to nothing. `message` is a sentence for people. */
export declare class UploadError extends Error {
    code: string;
    /** HTTP's, of the answer that said so; 0 without an answer. */
    status: number;
    /** Which field of the request is at fault. */
    field: string | undefined;
    limit: number | undefined;
    /** `rejected`: the file is at fault, and trying again cannot help.
     * @type {"rejected" | "failed"} */
    phase: "rejected" | "failed";
    /** Where the file is stored and only the end of its processing was not seen; `resume` goes on from there.
     * @type {PendingUpload | undefined} */
    pending: PendingUpload | undefined;
    /** @internal */
    retryAfterMs: number | undefined;
    /** Whether the same request may fare better a moment later. @internal */
    mayPass: boolean;
    /**
     * @param {string} code the server's stable code (`payload_too_large`, `corrupt`, ...), or `network`, `storage_refused`,
     *   `unreadable`, `timeout`
     * @param {string} message
     * @param {{status?: number, field?: string, limit?: number, phase?: "rejected" | "failed", retryAfterMs?: number,
     *   mayPass?: boolean, cause?: unknown}} [more]
     */
    constructor(code: string, message: string, more?: {
        status?: number;
        field?: string;
        limit?: number;
        phase?: "rejected" | "failed";
        retryAfterMs?: number;
        mayPass?: boolean;
        cause?: unknown;
    });
}
/**
 * Uploads a file and waits until it is processed.
 *
 * @param {File | Blob} file
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError} after the state that tells of it
 */
export declare function upload(file: File | Blob, options: Options): Promise<Manifest>;
/**
 * Goes on waiting for an upload that was being processed when the page went away.
 *
 * @param {PendingUpload} pending one of `pendingUploads`, or an error's
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError}
 */
export declare function resume(pending: PendingUpload, options: Options): Promise<Manifest>;
/**
 * What was being processed when this page went away and nobody on it waits for yet, the oldest first.
 *
 * @param {{api: string, storage?: Storage | null}} options
 * @returns {PendingUpload[]}
 */
export declare function pendingUploads(options: {
    api: string;
    storage?: Storage | null;
}): PendingUpload[];
/**
 * Asks for a URL for this file, with type, length and SHA-256 signed in. For who sends the bytes by other means.
 *
 * @param {File | Blob} file
 * @param {Options & {method?: "PUT" | "POST"}} options
 * @returns {Promise<Grant>}
 * @throws {UploadError}
 */
export declare function sign(file: File | Blob, options: Options & {
    method?: "PUT" | "POST";
}): Promise<Grant>;
/**
 * Asks what became of an upload, as often as the server would have it, until it is known.
 *
 * @param {{key: string}} grant
 * @param {Options} options
 * @returns {Promise<Manifest>}
 * @throws {UploadError}
 */
export declare function waitForManifest({ key }: {
    key: string;
}, options: Options): Promise<Manifest>;
export type Report = (change: Partial<UploadState>) => void;
export type Line = {
    running: number;
    waiting: {
        limit: number;
        start: () => void;
    }[];
};
