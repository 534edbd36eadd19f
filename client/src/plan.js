// plan.js decides what to ask the server now, and when to decide again.
// It is given the tabs' shared record, chance included, the time, the page's configuration and what this tab knows.
// It never touches the page, the network, the clock or the record: the same arguments give the same step.

import {
	CLOCK_TOLERANCE,
	FRESH,
	HIDDEN_RESERVE,
	LAST_LOOKS,
	LONGEST_REQUEST,
	MAX_SLEEP,
	MINUTE,
	ROUNDING,
	SECOND,
	SHORTEST_REQUEST,
} from './times.js';

/**
 * @import { Config } from './config.js'
 * @import { SharedRecord } from './record.js'
 *
 * @typedef {object} Tab what only this tab knows and wants
 * @property {boolean} [hidden]
 * @property {number} opened when this page was requested, or opened where it may be from a cache
 * @property {number} [woken] when the user last came back; 0 for never
 * @property {number} [sureAt] when it is known, at the latest, whether the server sent this page
 * @property {number} [online] when the network last came back; 0 for never
 * @property {number} [input] when somebody last used this page; 0 for never
 * @property {number} [stay] how often the user has asked to stay, and got no answer yet
 * @property {boolean} [look] an answer is wanted in this tab
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
 * @type {(shared: Partial<SharedRecord>, now: number, config: Config, tab: Tab) => Step}
 */
export const plan = (shared, now, config, tab) => {
	// Any script of the origin can write the record, so what cannot be true counts as absent.
	/** @type {(value: unknown) => number} */
	const past = (value) => numberOrZero(value, now + CLOCK_TOLERANCE);
	const answeredAt = past(shared.at);
	const failedAt = past(shared.failed);
	const goneAt = past(shared.gone);
	const claimedAt = past(shared.claim);
	const wokenAt = past(tab.woken);
	const onlineAt = past(tab.online);
	const sureAt = past(tab.sureAt);
	const inputAt = Math.max(past(shared.input), past(tab.input));
	const chance = numberOrZero(shared.rand, 1);

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
	const isGone = goneAt > Math.max(answeredAt, past(tab.opened));
	const isFailing = failedAt > lastWordAt;
	const retryAfter = isFailing ? numberOrZero(shared.after) : 0;
	// A ping would gain nothing: it can't move the expiry beyond the deadline.
	const isCapped = deadline - idleEnd < ROUNDING;
	const isAsked = tab.stay || tab.look;

	// Whether, by the mode and the limit, nobody is there for whom the session should be extended. With input the server counts
	// the idle timeout from that: a ping for input that it has counted would gain nothing.
	const isUnattended =
		config.mode === 'active'
			? !inputAt || inputAt + config.idle < idleEnd + ROUNDING
			: (config.mode === 'visible' && tab.hidden) || (config.max && now - inputAt > config.max);
	const mayExtend = !isCapped && !isUnattended && !isGone;

	// Pings and retries wait for 30 to 65 % of the time left, by a chance that the record holds: so all tabs come to the same
	// time, and pages that were opened in one minute, or saw the same outage, soon ask at different times. The range is that
	// wide as the sum of two waits must be spread, too. They leave room for the warning, or in a hidden tab, whose timers are
	// late, for two attempts.
	const reserve = Math.max(warn + FRESH, tab.hidden ? HIDDEN_RESERVE : 0);
	/** @param {number} left */
	const wait = (left) => Math.max(left / 4, (Math.min(0.65 * left, left - reserve) * (6 + 7 * chance)) / 13);
	// It counts from the last extension: a look must not put the ping off.
	const nextPing = idleEnd - extendedBy + wait(extendedBy);
	// Where no ping may extend the session, the page looks: when a ping of another tab has not come, before it warns, and often
	// after.
	const isLate = answeredAt >= warnAt - FRESH;
	const nextLook = Math.min(end, isLate ? answeredAt + LAST_LOOKS : Math.min(warnAt, answeredAt + (0.6 + chance / 4) * config.idle));

	// With nothing left, the session can still be there: only the server can say that it is gone.
	const left = end > failedAt ? end - failedAt : config.idle / 2;
	// Sessions with little left go first. What somebody waits for, or where nothing is left, begins with a second and doubles it.
	const isQuick = isAsked || end <= failedAt;
	const backoff = Math.min(wait(left), isQuick ? SECOND * 2 ** (numberOrZero(shared.fails) - chance) : Infinity);
	// A network that is back, and Retry-After, may name the same moment to many pages.
	const spread = chance * Math.min(left / 4, 3 * MINUTE);
	const onlineRetry = onlineAt > failedAt ? onlineAt + spread : Infinity;
	// Retry-After is obeyed for at most half of what was left.
	const permittedRetry = retryAfter && failedAt + Math.min(retryAfter + spread, left / 2);
	const nextRetry = Math.max(Math.min(failedAt + backoff, onlineRetry), permittedRetry);

	// The tabs together ask once a second at most, and not while one of them is asking. navigator.onLine says nothing here: it
	// is wrong with some virtual networks.
	// A claim outlives its request, so that a slow answer is not asked for twice. A tab that was killed while it asked must
	// not cost a short session its life.
	const claimTime = Math.min(config.idle / 4, requestTimeout(end - claimedAt) + 2 * SECOND);
	const earliest = Math.max(answeredAt + SECOND, failedAt + SECOND, claimedAt + claimTime);

	// Whether the user came back since the last failure, and that is a reason to ask at once. A server that sent Retry-After
	// is left in peace, but for what the user or the app asks.
	const isBack = wokenAt >= failedAt && (isAsked || (wokenAt - lastWordAt > FRESH && !retryAfter));
	// The script notes no deadline when a page is loaded, and nobody can be warned of an unknown one. What the server said of
	// it when it sent the page is read a moment later.
	const lacksDeadline = warn && deadline === Infinity;
	const scheduledAt = Math.min(mayExtend ? nextPing : nextLook, lacksDeadline ? Math.max(answeredAt, sureAt) + FRESH : Infinity);
	// Of a session that is gone only somebody who comes back wants to know more.
	const plannedAt = isGone ? Infinity : scheduledAt;
	const wantedAt = isAsked ? 0 : plannedAt;
	const retriedAt = Math.max(wantedAt, isFailing ? nextRetry : 0);
	const desiredAt = isBack ? 0 : retriedAt;
	const dueAt = Math.max(desiredAt, earliest, isAsked ? 0 : sureAt);
	const isDue = dueAt <= now;
	const isPingDue = tab.stay || (mayExtend && !tab.look && nextPing <= now);
	const method = isPingDue && !isCapped ? 'POST' : 'GET';

	// An end that no ping may prevent must have been confirmed just before. Another is only reached when pings fail.
	const isNear = warn && warnAt <= now && (isFailing || (!mayExtend && isLate));
	const hasPassed = answeredAt && goneAt > end - ROUNDING;
	const nearEnd = isCapped ? 'lifetime' : 'idle';

	/** @type {Step} */
	const step = {
		ask: isDue ? method : '',
		gone: isGone,
		until: isDue ? now + MAX_SLEEP : Math.min(dueAt, isGone || warnAt <= now ? Infinity : warnAt),
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
			if (isBack) return 'the user is back';
			if (isGone) return 'the session is gone';
			if (lacksDeadline) return 'the deadline is unknown';
			if (isCapped) return 'a ping would gain nothing before the deadline';
			return mayExtend ? 'the time drawn for the next ping' : 'the mode or the limit forbids pings now';
		};
		const failures = isFailing && !isBack ? ', after failures' : '';
		const heldBack = dueAt > Math.max(desiredAt, now) ? ', but a tab has just asked' : '';
		step.why = schedule() + failures + heldBack;
	}
	return step;
};
