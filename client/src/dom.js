// dom.js is the browser as the script uses it, whatever others do to the page.
// It is given the name of a property of the document, and answers by the document's own class.
// It never reads through the document itself, where an element of the page hides the property: <img name="currentScript">
// (HTML standard, section 3.1.7).

/** @type {Document} */
export const page = new Proxy(document, {
	get: (target, name) => {
		const value = Reflect.get(Document.prototype, name, target);
		return typeof value === 'function' ? value.bind(target) : value;
	},
});

/**
 * The browser's. An app may replace it later, by one that goes to sign in after any 401.
 * @type {typeof window.fetch}
 */
export const fetch = /* @__PURE__ */ Reflect.get(window, 'fetch');
