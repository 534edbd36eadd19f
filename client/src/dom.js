// dom.js is the document as the script reads it.
// It is given the name of a property, and answers by the document's own class.
// It never reads through the document itself, where an element of the page hides the property: <img name="currentScript">
// (HTML standard, section 3.1.7).

/** @type {Document} */
export const page = new Proxy(document, {
	get: (target, name) => {
		const value = Reflect.get(Document.prototype, name, target);
		return typeof value === 'function' ? value.bind(target) : value;
	},
	set: (target, name, value) => Reflect.set(Document.prototype, name, value, target),
});
