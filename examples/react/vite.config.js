import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // darkroom-web is linked from this repository and may have a React of its own there; a page must have one.
  resolve: { dedupe: ["react", "react-dom"] },
});
