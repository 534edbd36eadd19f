// times.js holds the durations that the modules work with, in ms, and a sleep.
// It is given nothing and keeps nothing.
// It never touches the page.

export const SECOND = 1_000;
export const MINUTE = 60_000;

/**
 * Chromium wakes hidden pages once a minute, and a timer that was set before the machine slept fires late by the time
 * slept. So no timer is set for longer, and each tick compares wall clocks.
 */
export const MAX_SLEEP = 60_000;

/** An answer younger than this is believed when the user comes back, and before a warning. */
export const FRESH = 5_000;

/** A page's load is waited for, where it says whether the server sent the page. Not longer: images may take their time. */
export const LONGEST_LOAD = 10_000;

/** Stores round the expiry. */
export const ROUNDING = 1_000;

/** At the end of the time left, pages look as often as this: another device may have extended the session. */
export const LAST_LOOKS = 30_000;

/** Two minutes of a hidden page's timers, and a request. */
export const HIDDEN_RESERVE = 130_000;

/** How far the clocks of two processes may differ. A time further ahead means that the clock was set back. */
export const CLOCK_TOLERANCE = 12_000;

/** What a page waits for an answer, at least and at most. */
export const SHORTEST_REQUEST = 10_000;
export const LONGEST_REQUEST = 60_000;

/** Another tab holds the lock for a moment, or for ever if it was frozen just then. */
export const LOCK_WAIT = 200;

/** After this, the engine's locks are taken for broken. */
export const LOCK_TIMEOUT = 5_000;

/** Engines need some ms to show the record to their other processes, and the lock may be faster. */
export const RECORD_DELAY = 50;

/** Between the two questions that make a session gone, so that a renewed token has arrived. */
export const CONFIRM_DELAY = 1_000;

/** Busy typing must not write to the disk at each key. */
export const INPUT_INTERVAL = 5_000;

/** A little less than the minute in which hidden tabs wake. */
export const PRESENCE_INTERVAL = 55_000;

/** Without input for so long, the next input is reported at once: who watches must not wait for the next report. */
export const BACK_AFTER = 120_000;

/** For the ear, a dialog says the time left each time that so much has passed, and when so much is left. */
export const SPEECH_INTERVAL = 30_000;
export const LAST_SPEECH = 20_000;

/** @type {(ms: number) => Promise<void>} */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
