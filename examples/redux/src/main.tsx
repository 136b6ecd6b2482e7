import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "react-redux";
import { App } from "./App";
import { api, fetchConfig } from "./darkroom";
import { store } from "./store";
import "./style.css";

const config = await fetchConfig().catch(() => null);

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Provider store={store}>
      {config ? <App {...config} /> : <main role="alert">Darkroom does not answer at {api}. Is `cargo run` running?</main>}
    </Provider>
  </StrictMode>,
);
