// answer.js says what the tabs' record holds of an answer of the server.
// It is given the answer's times.
// It never touches the record, so that extras.js may have a copy of it.

import { MINUTE } from './times.js';

/**
 * @param {number} at when the question was sent
 * @param {number} idle
 * @param {number} life
 */
export const answerOf = (at, idle, life) => ({ at, idle, life, guess: 0, fails: 0, rand: Math.random() });

/**
 * The server skips touches that would gain less than this.
 * @param {number} idle the idle timeout
 */
export const smallestGain = (idle) => Math.min(idle / 20, MINUTE);
