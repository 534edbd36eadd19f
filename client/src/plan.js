// plan.js decides what to ask the server now, and when to decide again.
// It is given the tabs' shared record, the time, the page's configuration and what this tab knows, chance included.
// It never touches the page, the network, the clock or the record: the same arguments give the same step.

import { CLOCK_TOLERANCE, FRESH, LAST_LOOKS, LONGEST_REQUEST, MAX_SLEEP, ROUNDING, SECOND, SHORTEST_REQUEST } from './times.js';

/**
 * @import { Config } from './config.js'
 * @import { SharedRecord } from './record.js'
 *
 * @typedef {object} Tab what only this tab knows and wants
 * @property {boolean} [hidden]
 * @property {number} opened when this page was requested, or opened where it may be from a cache
 * @property {number} [woken] when the user or the network last came back; 0 for never
 * @property {number} [input] when somebody last used this page; 0 for never
 * @property {number} [stay] how often the user has asked to stay, and got no answer yet
 * @property {boolean} [look] an answer is wanted in this tab
 * @property {number} rand 0 to 1, one number for the page's life
 *
 * @typedef {KeepaliveState & {why?: string}} Step what to do now; why is for the debug log alone
 */

/**
 * Returns what value stands for as a number from 0 to below limit, and 0 for everything else.
 * @type {(value: unknown, limit?: number) => number}
 */
export const numberOrZero = (value, limit = Infinity) => {
	const number = Number(value);
	return number >= 0 && number < limit ? number : 0;
};

/**
 * Returns for how long an answer is waited for: a third of what is left, within bounds. A server that is slow must be heard.
 * @param {number} left
 */
export const requestTimeout = (left) => Math.min(Math.max(left / 3, SHORTEST_REQUEST), LONGEST_REQUEST);

/**
 * Decides what to ask now and when to decide again. All times are those of Date.now(); 0 is never.
 * @type {(record: Partial<SharedRecord>|null|undefined, now: number, config: Config, tab: Tab) => Step}
 */
export const plan = (record, now, config, tab) => {
	// Any script of the origin can write the record, so what cannot be true counts as absent.
	/** @type {(value: unknown) => number} */
	const past = (value) => numberOrZero(value, now + CLOCK_TOLERANCE);
	const shared = record || {};
	const answeredAt = past(shared.at);
	const failedAt = past(shared.failed);
	const goneAt = past(shared.gone);
	const claimedAt = past(shared.claim);
	const wokenAt = past(tab.woken);
	const inputAt = Math.max(past(shared.input), past(tab.input));
	const retryJitter = numberOrZero(shared.rand, 1);

	// The page's own idle timeout is the limit of both, so that no record, however wrong, can put a ping off.
	const idleLeft = Math.min(numberOrZero(shared.idle), config.idle);
	const extendedBy = Math.min(Math.max(numberOrZero(shared.full), idleLeft), config.idle);
	const idleEnd = answeredAt + idleLeft;
	const deadline = numberOrZero(shared.life) || Infinity;
	const end = Math.min(idleEnd, deadline);
	// Nobody is warned of an end that the server has guessed.
	const warn = shared.guess ? 0 : config.warn;
	const warnAt = end - warn;

	// What the tabs knew of an end before this page was opened may be of a session before this one.
	const lastWordAt = Math.max(answeredAt, goneAt);
	const isGone = goneAt > Math.max(answeredAt, tab.opened);
	const isFailing = failedAt > lastWordAt;
	const retryAfter = isFailing ? numberOrZero(shared.after) : 0;
	// A ping would gain nothing: it can't move the expiry beyond the deadline.
	const isCapped = deadline - idleEnd < ROUNDING;
	const isAsked = tab.stay || tab.look;
	// Hidden tabs come last, so that a visible one, whose timers are exact, usually has asked before.
	const hiddenDelay = tab.hidden ? extendedBy / 20 : 0;

	// Whether, by the mode and the limit, nobody is there for whom the session should be extended. With input the server counts
	// the idle timeout from that: a ping for input that it has counted would gain nothing.
	const isUnattended =
		config.mode === 'active'
			? !inputAt || inputAt + config.idle < idleEnd + ROUNDING
			: (config.mode === 'visible' && tab.hidden) || (config.max > 0 && now - inputAt > config.max);
	const mayExtend = !isCapped && !isUnattended;

	// The next ping is due when half of the time is left, and up to a tenth of that earlier by chance. Half is counted from the
	// last extension: a look must not put the ping off.
	const nextPing = idleEnd - (extendedBy / 2) * (1 + tab.rand / 10) + hiddenDelay;
	// Where no ping may extend the session, the page looks after half of the idle timeout, before it warns, and often after.
	const isLate = answeredAt >= warnAt - FRESH;
	const nextLook = Math.min(end, isLate ? answeredAt + LAST_LOOKS : Math.min(warnAt, answeredAt + config.idle / 2 + hiddenDelay));

	// After failures the wait doubles, at most to a quarter of what was left at the failure, with full jitter. Retry-After may
	// ask for more, at most half of what was left. All tabs come to the same time: the record holds the jitter. With nothing
	// left, the session can still be there: only the server can say that it is gone.
	const leftThen = end > failedAt ? end - failedAt : config.idle;
	const backoff = retryJitter * Math.min(SECOND * 2 ** numberOrZero(shared.fails), leftThen / 4);
	const nextRetry = failedAt + Math.max(backoff, Math.min(retryAfter * (1 + retryJitter / 10), leftThen / 2));

	// The tabs together ask once a second at most, and not while one of them is asking. navigator.onLine says nothing here: it
	// is wrong with some virtual networks.
	// A claim outlives its request, so that a slow answer is not asked for twice. A tab that was killed while it asked must
	// not cost a short session its life.
	const claimTime = Math.min(requestTimeout(end - claimedAt) + 2 * SECOND, config.idle / 4);
	const earliest = Math.max(Math.max(answeredAt, failedAt) + SECOND, claimedAt + claimTime);

	// Whether the user or the network came back since the last failure, and that is a reason to ask at once. A server that
	// sent Retry-After is left in peace, but for what the user or the app asks.
	const isBack = wokenAt > failedAt && (isAsked || (wokenAt - lastWordAt > FRESH && !retryAfter));
	// A page load says nothing of the deadline, and nobody can be warned of an unknown one.
	const isUrgent = isAsked || (config.warn > 0 && deadline === Infinity && !isGone);

	// Of a session that is gone only somebody who comes back wants to know more.
	const scheduledAt = isGone ? Infinity : mayExtend ? nextPing : nextLook;
	const wantedAt = isUrgent ? 0 : scheduledAt;
	const retriedAt = isFailing ? Math.max(wantedAt, nextRetry) : wantedAt;
	const desiredAt = isBack ? 0 : retriedAt;
	const dueAt = Math.max(desiredAt, earliest);
	const isDue = dueAt <= now;
	const isPingDue = mayExtend && !tab.look && scheduledAt <= now;
	const method = !isCapped && (tab.stay || isPingDue) ? 'POST' : 'GET';

	// An end that no ping may prevent must have been confirmed just before. Another is only reached when pings fail.
	const isNear = warn > 0 && now >= warnAt && (isFailing || (!mayExtend && isLate));
	const hasPassed = answeredAt > 0 && goneAt > end - ROUNDING;
	const nearEnd = isCapped ? 'lifetime' : 'idle';

	/** @type {Step} */
	const step = {
		ask: isDue ? method : '',
		gone: isGone,
		until: isDue ? now + MAX_SLEEP : isGone || warnAt <= now ? dueAt : Math.min(dueAt, warnAt),
		end,
		reason: (isGone ? hasPassed : isNear) ? nearEnd : '',
		failing: isFailing,
		otherUser: Boolean(config.user && shared.user && config.user !== shared.user),
		input: inputAt,
	};
	if (__DEBUG__) {
		const schedule = () => {
			if (tab.stay) return 'stay';
			if (tab.look) return 'look';
			if (isBack) return 'the user or the network is back';
			if (isGone) return 'the session is gone';
			if (isUrgent) return 'the deadline is unknown';
			if (isCapped) return 'a ping would gain nothing before the deadline';
			return mayExtend ? 'half of the time left' : 'the mode or the limit forbids pings now';
		};
		const failures = isFailing && !isBack ? ', after failures' : '';
		const heldBack = dueAt > Math.max(desiredAt, now) ? ', but a tab has just asked' : '';
		step.why = schedule() + failures + heldBack;
	}
	return step;
};
