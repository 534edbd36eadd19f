// dialog.js shows one dialog at a time, and after the end the bar, and holds forms back that would be lost.
// It is given what to show, by notice.js, and what to do when the user answers.
// It never decides whether the user is told. It is a script of its own, so it imports no module that has state of the main
// script, and what it exports is a contract: after an update, a page with the script of before loads it.

/** @import { Actions, View } from './notice.js' */

import { formatDuration } from './duration.js';
import { windowAround } from './frames.js';
import { wouldBeLost } from './hold.js';
import { hide, place, show, shownPart } from './host.js';
import { openLogin } from './login.js';
import { createShield, listenBefore, pressEscape } from './shield.js';
import { LAST_SPEECH, SECOND, SPEECH_INTERVAL } from './times.js';
import { folder, loadedWords, loadWords } from './words.js';

/** A spoken text is taken away after this, or it would be found in the page when it is no longer true. */
const SPEECH_TIME = 5_000;

/** @type {View} */
let view;
/** @type {Actions} */
let actions;
/** The notice that the user gets. */
let notice = '';
/** What is shown: the id of an element of the document. */
let shownId = '';
/** Whether the user has closed the dialog of this notice. */
let isClosed = false;
/** @type {WeakSet<EventTarget>} the forms that were held back once */
let heldForms = new WeakSet();
let pendingSince = 0;
let speech = '';

/** Reports whether a dialog is open. */
export const isOpen = () => Boolean(shownPart()?.showModal);

/** @param {string} selector */
const find = (selector) => /** @type {HTMLElement} */ (shownPart()?.querySelector(selector));

const isEnd = () => notice.startsWith('gone');

/** Says what is written, to those who do not see it. */
const speak = () => {
	const status = find('[role=status]');
	if (!status) return;
	status.textContent = ['#text', '[part=wait]', '[part=offline]'].map((part) => find(part)?.innerText).join(' ');
	setTimeout(() => status.replaceChildren(), SPEECH_TIME);
};

/**
 * Shows in the open dialog how much time is left, and what becomes of the user's answer: each second for the eye, now and
 * then for the ear.
 */
const showProgress = () => {
	const clock = find('time');
	const { end, failing, pending } = view;
	const left = end - Date.now();
	clock.textContent = formatDuration(Math.max(1, Math.ceil(left / SECOND)), shownPart()?.lang ?? '');
	find('#text>:first-child').hidden = left <= 0;
	find('#text>:last-child').hidden = left > 0;
	find('[part=offline]').hidden = !failing;
	const interval = left > LAST_SPEECH ? Math.ceil(left / SPEECH_INTERVAL) : Number(left > 0);

	const stay = /** @type {HTMLButtonElement|undefined} */ (find('[name=stay]'));
	const isBusy = pending && !failing;
	pendingSince = isBusy ? pendingSince || Date.now() : 0;
	const isLong = isBusy && Date.now() - pendingSince >= SECOND;
	if (stay) {
		if (isBusy && stay.matches(':focus')) shownPart()?.focus(); // a disabled button would lose the focus to the page
		stay.disabled = isBusy;
		stay.setAttribute('aria-busy', String(isBusy));
		find('[part=wait]').hidden = !isLong;
	}

	const news = [interval, failing, isLong].join();
	if (speech && speech !== news) speak(); // what is there at first is the dialog's description
	speech = news;
};

/** @param {string} name the button's */
const press = (name) => {
	if (name === 'stay') actions.stay();
	if (name === 'reload') location.reload();
	if (name === 'close') {
		isClosed = true;
		draw();
	}
};

const shield = createShield(press);

/** What this script leaves in the window: for pages that may not import it, and for frames that hold a form back. */
const key = Symbol.for(folder + 'dialog');

/** Shows again what the user has closed. */
const reopen = () => {
	isClosed = false;
	draw();
};

/** Holds a form back, once, and says again why. @param {Event} event */
const onSubmit = (event) => {
	const { target } = event;
	const words = loadedWords();
	const { after = '' } = words?.documentElement.dataset ?? {};
	if (!words || !target || !(isEnd() || notice === 'user') || /nobar|blank/.test(after)) return;
	if (heldForms.has(target) || !wouldBeLost(/** @type {SubmitEvent} */ (event), words)) return;
	heldForms.add(target);
	if (!actions.dispatch('keepalive:hold', { form: /** @type {HTMLFormElement} */ (target) })) return;
	event.preventDefault();
	event.stopImmediatePropagation();
	const around = windowAround(actions.guard);
	if (around) Reflect.get(around, key)?.reopen();
	else reopen();
};

/** document.open() takes all listeners away. Where they are there, this adds none. */
const listen = () => {
	listenBefore(shield);
	addEventListener('submit', onSubmit, true);
};

/** @type {(id: string, words: Document) => void} */
const showOnce = (id, words) => {
	if (id === shownId) return place();
	const template = words.getElementById(id);
	shownId = id;
	if (!template) return hide();
	speech = '';
	const part = show(template, words.head.textContent ?? '');
	part.oncancel = (event) => {
		event.preventDefault();
		pressEscape(press);
	};
	// Browsers close a dialog at once where the user has done nothing in the page yet.
	part.onclose = () => {
		if (part !== shownPart() || /** @type {HTMLDialogElement} */ (part).open) return;
		pressEscape(press);
		place();
	};
	part.onsubmit = (event) => {
		if (!actions.dispatch('keepalive:logout')) event.preventDefault();
	};
};

const draw = () => {
	listen();
	// Why the session has ended does not change any more.
	if (!isEnd() || !view.notice.startsWith('gone')) {
		if (notice !== view.notice) isClosed = false;
		notice = view.notice;
	}
	if (!notice) {
		heldForms = new WeakSet();
		shownId = '';
		return hide();
	}
	const words = loadedWords();
	if (!words) {
		loadWords(draw);
		return;
	}
	if (windowAround(actions.guard)) return; // which shows it
	const { after } = words.documentElement.dataset;
	const remainder = isEnd() && after !== 'nobar' ? 'bar' : '';
	showOnce(isClosed ? remainder : notice, words);
	if (find('time')) showProgress();
	const login = words.querySelector('a')?.href;
	if (login && isEnd() && after === 'login') openLogin(login, actions.look);
};

/**
 * Shows what there is to show now, and takes the rest off the page.
 * @type {(view: View, actions: Actions) => void}
 */
export const update = (newView, newActions) => {
	view = newView;
	actions = newActions;
	// With a warning to come, the document is there before the network may fail.
	if (!loadedWords()) loadWords(draw);
	draw();
};

listenBefore(shield);
Reflect.set(window, key, { isOpen, update, reopen });
