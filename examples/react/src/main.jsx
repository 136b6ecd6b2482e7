import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.jsx";
import { api, fetchConfig } from "./darkroom.js";
import "./style.css";

const config = await fetchConfig().catch(() => null);

createRoot(document.getElementById("root")).render(
  <StrictMode>
    {config ? <App {...config} /> : <main role="alert">Darkroom does not answer at {api}. Is `cargo run` running?</main>}
  </StrictMode>,
);
