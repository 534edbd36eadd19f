
// Takes the plots from the server's page every two seconds. Without JavaScript the page reloads itself, less often.
const update = async () => {
	const silent = document.getElementById('silent');
	try {
		const response = await fetch('/', { signal: AbortSignal.timeout(5000) });
		const next = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('lanes');
		if (!next) throw new Error(`status ${response.status}`);
		document.getElementById('lanes').replaceWith(next);
		silent.textContent = '';
	} catch {
		silent.textContent = 'The server does not answer.';
	}
};

setInterval(() => document.hidden || update(), 2000);
document.addEventListener('visibilitychange', () => document.hidden || update());
