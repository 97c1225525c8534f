// @ts-check
/**
 * Keeps the end of a growing text in sight while the reader is at the end, and never moves a reader who scrolled up: then a
 * small button offers the way down. Knows nothing of messages.
 */
import { setHidden } from "./dom.js";

/** So near to the end counts as being there. */
const NEAR = 48;

export class Follower {
  following = true;

  /**
   * @param {HTMLElement} frame  what scrolls
   * @param {HTMLElement} content  what grows
   * @param {HTMLElement} button  shown when there is new text below
   */
  constructor(frame, content, button) {
    this.frame = frame;
    this.button = button;
    this.height = 0;
    this.top = 0;
    frame.addEventListener("scroll", () => this.scrolled(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    const watcher = new ResizeObserver(() => this.grown());
    watcher.observe(frame);
    watcher.observe(content);
  }

  toEnd() {
    this.following = true;
    this.grown();
  }

  /** There is new text at the end. */
  news() {
    if (!this.following) setHidden(this.button, false);
  }

  grown() {
    this.height = this.frame.scrollHeight;
    if (!this.following) return;
    this.frame.scrollTop = this.height;
    setHidden(this.button, true);
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.frame;
    const upwards = scrollTop < this.top;
    this.top = scrollTop;
    // A frame whose content changed scrolls too: only the reader's own scrolling changes the mind.
    if (scrollHeight !== this.height) return;
    const left = scrollHeight - scrollTop - clientHeight;
    this.following = left < (upwards ? 2 : NEAR);
    if (this.following) setHidden(this.button, true);
  }
}
