// Whether the server answers, and the token that it may ask for.

import { Offline, TokenNeeded, describeRun, takeTokenFromAddress, useToken } from "./api.js";
import { $ } from "./dom.js";
import { say, toast } from "./words.js";

const RETRY = 1000; // milliseconds

export class Connection {
  /**
   * @param {object} on `connected(run)` once the server has described its run.
   */
  constructor(on) {
    this._on = on;
    $("server-name").textContent = location.host;
    $("token-form").addEventListener("submit", () => {
      useToken($("token").value);
      this.open();
    });
    takeTokenFromAddress();
  }

  /** Ask for the run until the server describes it, or asks for a token. */
  async open() {
    for (;;) {
      try {
        const run = await describeRun();
        this.online();
        this._on.connected(run);
        return;
      } catch (error) {
        if (error instanceof TokenNeeded) {
          this.askToken();
          return;
        }
        this._show("offline", error instanceof Offline ? OFFLINE : error.message);
        await new Promise((done) => setTimeout(done, RETRY));
      }
    }
  }

  online() {
    this._show("online", "Connected");
  }

  offline() {
    this._show("offline", OFFLINE);
  }

  askToken() {
    this._show("offline", "Waiting for the token");
    $("token-wrong").hidden = $("token").value === "";
    if (!$("ask-token").open) $("ask-token").showModal();
  }

  /** Tell why something that the person asked for was not done. */
  failed(error) {
    if (error instanceof TokenNeeded) this.askToken();
    else toast(error.message, "wrong");
  }

  _show(state, text) {
    if ($("connection-text").textContent === text) return;
    $("connection").className = `connection ${state}`;
    $("connection-text").textContent = text;
    say(text);
  }
}

const OFFLINE = "No answer from the server, retrying";
