/** The chat page's entry: the state, the page over it, and its language. */
import { App } from "@core/app";
import { Page } from "@ui/Page";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@ui/styles/index.css";

const app = new App(window);
document.documentElement.lang = app.language.locale;
document.documentElement.dir = app.language.direction;

const root = document.getElementById("root");
if (!root) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <Page app={app} />
  </StrictMode>,
);
void app.start();
