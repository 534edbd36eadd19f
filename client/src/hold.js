// hold.js tells which forms would be lost without a session, or be sent as another user.
// It is given the event that sends a form, and the document of the dialogs.
// It never reads a form by its own properties, which its fields hide: <input name="action">.

/** @param {string} url the same for all that leads to one page */
const withoutQuery = (url) => url.replace(/[?#].*/, '');

/**
 * Reports whether an event sends a form by POST to this origin in this window: not a password, not to sign in or out.
 * @type {(event: SubmitEvent, words: Document) => boolean}
 */
export const wouldBeLost = ({ target, submitter, defaultPrevented }, words) => {
	/** @param {string} name */
	const ofForm = (name) => Reflect.get(HTMLFormElement.prototype, name, target);
	/** The button may say otherwise. @type {(name: string, ofButton: string) => string} */
	const value = (name, ofButton) =>
		submitter?.hasAttribute(ofButton) ? Reflect.get(submitter, ofButton) : ofForm(name);

	const action = withoutQuery(value('action', 'formAction'));
	const frame = value('target', 'formTarget');
	const isOfThisWindow =
		frame === window.name || /^(_self)?$/i.test(frame) || (/^_(parent|top)$/i.test(frame) && parent === self);
	const isSignInOrOut = [words.querySelector('a')?.href, words.querySelector('form')?.action].some(
		(url) => url && withoutQuery(url) === action,
	);
	const hasPassword = [...ofForm('elements')].some(({ type, value }) => type === 'password' && value);
	return (
		!defaultPrevented &&
		value('method', 'formMethod') === 'post' &&
		action.startsWith(location.origin + '/') &&
		isOfThisWindow &&
		!isSignInOrOut &&
		!hasPassword
	);
};
