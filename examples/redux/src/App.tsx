import { Picture } from "darkroom-web/react.js";
import type { Phase } from "darkroom-web/upload.js";
import type { ChangeEvent } from "react";
import type { Config } from "./darkroom";
import { useAppDispatch, useAppSelector } from "./store";
import { remove, retry, selectUploads, send, type Upload } from "./uploads";

const WORDS: Record<Phase, string> = {
  preparing: "Waiting…",
  signing: "Asking where to send it…",
  uploading: "Sending…",
  processing: "Making the renditions…",
  ready: "Ready",
  rejected: "Not accepted",
  failed: "Failed",
};

export function App({ cdn, limits }: Config) {
  const uploads = useAppSelector((state) => selectUploads(state.uploads));
  const dispatch = useAppDispatch();
  const ready = uploads.filter(({ phase }) => phase === "ready").length;

  return (
    <main>
      <h1>Upload photos</h1>
      <p>They come back in every size and format that a page needs.</p>
      <FileDrop onFiles={(files) => dispatch(send(files, limits))} />
      <p role="status">{uploads.length > 0 && `${ready} of ${uploads.length} ready`}</p>
      <ul>
        {uploads.map((upload) => (
          <UploadCard key={upload.id} upload={upload} cdn={cdn} />
        ))}
      </ul>
    </main>
  );
}

function UploadCard({ upload, cdn }: { upload: Upload; cdn: string }) {
  const { id, name, phase, loaded, total, manifest, error } = upload;
  const dispatch = useAppDispatch();
  const isOver = manifest !== undefined || error !== undefined;

  return (
    <li className="card">
      {manifest && <Picture manifest={manifest} cdn={cdn} alt={`The photo ${name}`} sizes="(min-width: 40rem) 18rem, 100vw" />}
      <strong>{name}</strong>
      {!isOver && <progress value={total > 0 ? loaded / total : 0} aria-label={`Sent of ${name}`} />}
      <small>{manifest ? `${manifest.source.width} × ${manifest.source.height} px, ${manifest.renditions.length} renditions` : WORDS[phase]}</small>
      {error && (
        <p role="alert">
          <code>{error.code}</code> {error.message}
        </p>
      )}
      <div>
        {phase === "failed" && (
          <button aria-label={`Try ${name} again`} onClick={() => dispatch(retry(id))}>
            Try again
          </button>
        )}
        <button aria-label={`${isOver ? "Remove" : "Cancel"} ${name}`} onClick={() => dispatch(remove(id))}>
          {isOver ? "Remove" : "Cancel"}
        </button>
      </div>
    </li>
  );
}

function FileDrop({ onFiles }: { onFiles: (files: File[]) => void }) {
  const choose = ({ target }: ChangeEvent<HTMLInputElement>) => {
    onFiles([...(target.files ?? [])]);
    // So that the same files can be chosen again.
    target.value = "";
  };
  return (
    <label className="drop">
      <span>
        <strong>Choose photos</strong> or drop them here
      </span>
      <small>JPEG, PNG, GIF, WebP or AVIF</small>
      <input type="file" accept="image/*" multiple onChange={choose} />
    </label>
  );
}
