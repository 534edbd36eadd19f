// record.js keeps what the tabs of a browser share: one record in localStorage.
// It is given changes to write, and returns what stands there, unchecked. plan.js decides what of it to believe.
// It never touches the network and decides nothing. No other module touches localStorage.
//
// There is no leader among the tabs: Chromium lets a frozen tab keep a Web Lock for ever. So every tab can do everything,
// and a claim in the record says which one is asking now.

import { answerOf, smallestGain } from './answer.js';
import { config, sharedKey } from './config.js';
import { numberOrZero } from './plan.js';
import { CLOCK_TOLERANCE } from './times.js';

/**
 * Times are Date.now() values: performance.now() stands still on some systems while they sleep. The names are a contract:
 * other tabs may run another version of the script.
 * @typedef {object} SharedRecord
 * @property {number} at when the last answered request was sent, or the page was requested
 * @property {number} idle ms from at to the idle expiry
 * @property {number} full what idle was when the session was last extended: a look must not put the next ping off
 * @property {number} guess 1 where idle is the server's guess, else 0
 * @property {number} life the session's deadline; 0 where unknown
 * @property {number} gone when the question was sent that was answered with "no session"
 * @property {string} [user] a stamp of whom the server sent the last page to; dropped when the session is gone
 * @property {number} seen when that page was requested
 * @property {number} input when somebody last used a page of the browser
 * @property {number} claim when a tab set out to ask
 * @property {number} by the number of the tab that claims
 * @property {number} failed when the last request failed
 * @property {number} fails failures in a row
 * @property {number} after ms of the last failure's Retry-After
 * @property {number} rand 0 to 1, drawn with each answer and each failure: all tabs then agree on what comes next
 */

const tabNumber = Math.random();
// Where localStorage refuses, the tab keeps the record for itself.
let privateCopy = '';

/** @returns {Partial<SharedRecord>} */
export const readRecord = () => {
	try {
		return JSON.parse(privateCopy || localStorage.getItem(sharedKey) || '{}') || {};
	} catch {
		return {};
	}
};

/**
 * Replaces the record.
 * @param {Partial<SharedRecord>} record
 */
export const writeRecord = (record) => {
	privateCopy = JSON.stringify(record);
	try {
		localStorage.setItem(sharedKey, privateCopy);
		if (localStorage.getItem(sharedKey) === privateCopy) privateCopy = '';
	} catch {}
};

/** @param {Partial<SharedRecord>} changes */
export const updateRecord = (changes) => writeRecord({ ...readRecord(), ...changes });

/** Claims for this tab to ask now. */
export const claimRecord = () => updateRecord({ claim: Date.now(), by: tabNumber });

export const isClaimedHere = () => readRecord().by === tabNumber;

/**
 * Writes what came of a question, which ends the claim. An answer counts only while the claim stands under which it was
 * asked for: otherwise another tab has asked since, or wants a new answer.
 * @param {Partial<SharedRecord>} changes
 */
export const updateClaimed = (changes) => {
	if (isClaimedHere()) updateRecord({ claim: 0, ...changes });
};

/**
 * Notes that the server sent this page, and so has extended the session, unless a later answer is known.
 * @param {number} at when it was requested
 */
export const savePageLoad = (at) => {
	const { at: knownAt = 0, life = 0 } = readRecord();
	if (knownAt >= at) return;
	const idle = config.idle - smallestGain(config.idle);
	// A deadline that is far away is worth remembering, for the warning. A near one may be that of a session before this
	// one; without it the server is asked in time.
	updateRecord({ full: idle, ...answerOf(at, idle, life > at + 2 * idle ? life : 0) });
};

/**
 * Notes whom the server sent a page to, unless a later one is known.
 * @param {number} requestedAt
 */
export const saveUser = (requestedAt) => {
	const { user } = config;
	// A later one ahead of the clock was seen before that was set back.
	const seenAt = numberOrZero(readRecord().seen, Date.now() + CLOCK_TOLERANCE);
	if (user !== undefined && seenAt < requestedAt) updateRecord({ user, seen: requestedAt });
};
