import { Picture, useImageUpload } from "darkroom-web/react.js";
import { api, token } from "./darkroom.js";

const WORDS = {
  preparing: "Preparing…",
  signing: "Asking where to send it…",
  uploading: "Sending…",
  processing: "Making the renditions…",
  ready: "Ready.",
  rejected: "This file is not accepted.",
  failed: "That did not work.",
};

export function App({ cdn, limits }) {
  const { upload, phase, progress, result, error, retry, abort } = useImageUpload({ api, token, limits });
  const isRunning = !["idle", "ready", "rejected", "failed"].includes(phase);

  return (
    <main>
      <h1>Upload a photo</h1>
      <p>It comes back in every size and format that a page needs.</p>
      <FileDrop onFile={upload} />
      <section className="card" aria-label="Upload" hidden={phase === "idle"}>
        {isRunning && <progress value={progress} aria-label="Sent" />}
        <p role="status">{WORDS[phase]}</p>
        {error && (
          <p role="alert">
            <code>{error.code}</code> {error.message}
          </p>
        )}
        {isRunning && <button onClick={abort}>Cancel</button>}
        {phase === "failed" && <button onClick={retry}>Try again</button>}
      </section>
      {result && (
        <figure>
          <Picture manifest={result} cdn={cdn} alt="The photo that you uploaded" sizes="(min-width: 40rem) 37.5rem, 100vw" />
          <figcaption>
            {result.source.width} × {result.source.height} px, {result.renditions.length} renditions
          </figcaption>
        </figure>
      )}
    </main>
  );
}

function FileDrop({ onFile }) {
  const choose = ({ target }) => {
    if (target.files[0]) onFile(target.files[0]);
    // So that the same file can be chosen again.
    target.value = "";
  };
  return (
    <label className="drop">
      <span>
        <strong>Choose a photo</strong> or drop one here
      </span>
      <small>JPEG, PNG, GIF, WebP or AVIF</small>
      <input type="file" accept="image/*" onChange={choose} />
    </label>
  );
}
