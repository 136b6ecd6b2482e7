export type Grant = import("./upload.js").Grant;
export type Manifest = import("./upload.js").Manifest;
export type UppyFile = {
    id: string;
    name: string;
    type: string;
    data: unknown;
    progress: {
        uploadComplete?: boolean;
    };
    error?: string | null;
    response?: {
        status: number;
        body?: Record<string, unknown>;
    };
};
export type Uppy = {
    opts: {
        restrictions: {
            maxFileSize: number | null;
            allowedFileTypes: string[] | null;
        };
    };
    setOptions(options: any): void;
    setState(state: any): void;
    getFile(id: string): UppyFile;
    setFileState(id: string, state: any): void;
    on(event: any, listener: (...args: any[]) => void): unknown;
    off(event: any, listener: (...args: any[]) => void): unknown;
    emit(event: any, ...args: any[]): unknown;
    addPostProcessor(job: (ids: string[]) => Promise<void>): void;
    removePostProcessor(job: (ids: string[]) => Promise<void>): unknown;
};
export type AdapterOptions = {
    /**
     * `POST`, the default, is a form that Uppy may send again when an answer got lost.
     * `PUT` writes once: sent again it is refused, which counts as uploaded, though Uppy tells of an error in between.
     */
    method?: "PUT" | "POST";
};
export type DarkroomOptions = import("./upload.js").Options & AdapterOptions;
export type UploadParameters = {
    method: "POST";
    url: string;
    fields: Record<string, string>;
    expires: number;
} | {
    method: "PUT";
    url: string;
    headers: Record<string, string>;
    expires: number;
};
export type AwsS3Options = {
    shouldUseMultipart: false;
    /**
     * files sent at once
     */
    limit: number;
    /**
     * for version 5
     */
    getUploadParameters: (file: UppyFile) => Promise<UploadParameters>;
    /**
     * for version 6
     */
    generateObjectKey: (file: UppyFile) => string;
    /**
     * for version 6
     */
    signRequest: (request: {
        key: string;
    }) => Promise<{
        url: string;
        key: string;
        headers?: Record<string, string>;
        fields?: Record<string, string>;
    }>;
};
/**
 * Options for @uppy/aws-s3: `uppy.use(AwsS3, darkroom(uppy, { api, token }))`.
 *
 * A file that is ready has `file.response.body.manifest`, from the event `postprocess-complete` on. One that came to nothing
 * has `file.error`, a sentence, and `file.response.body.code`; `upload-error` hands over the `UploadError` itself.
 * For local files: Companion uploads by itself, to a bucket of its own.
 *
 * @param {Uppy} uppy
 * @param {DarkroomOptions} options
 * @returns {AwsS3Options}
 */
export declare function darkroom(uppy: Uppy, { method, ...options }: DarkroomOptions): AwsS3Options;
export type Patch = (id: string, state: object) => void;
