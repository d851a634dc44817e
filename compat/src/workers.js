// workers.js SECONDS FILE - Node.js workers, shared memory with Atomics, and libuv's own threads
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');

if (!isMainThread) {
    const shared = new Int32Array(workerData);
    parentPort.on('message', (n) => {
        Atomics.add(shared, 0, 1);
        parentPort.postMessage(n + 1);
    });
} else {
    const seconds = Number(process.argv[2]), file = process.argv[3];
    const buffer = new SharedArrayBuffer(8), shared = new Int32Array(buffer);
    const content = crypto.createHash('md5').update(fs.readFileSync(file)).digest('hex');
    let messages = 0, wrong = 0, hashes = 0, stop = false;
    const workers = Array.from({ length: 8 }, () => new Worker(__filename, { workerData: buffer }));
    const waiting = workers.map((w, i) => new Promise((done) => {
        let sent = i;
        w.on('message', (n) => {
            messages++;
            if (n !== sent + 1) wrong++;
            if (stop) return done();
            w.postMessage(sent = n);
        });
        w.postMessage(sent);
    }));
    async function onThreads() {
        while (!stop) {
            const data = await fs.promises.readFile(file);
            if (crypto.createHash('md5').update(data).digest('hex') !== content) wrong++;
            await new Promise((done) => crypto.pbkdf2('a', 'b', 100, 20, 'sha1', done));
            hashes++;
        }
    }
    waiting.push(onThreads(), onThreads(), onThreads());
    setTimeout(() => { stop = true; }, seconds * 1000);
    Promise.all(waiting).then(async () => {
        await Promise.all(workers.map((w) => w.terminate()));
        const good = wrong === 0 && hashes > 0 && Atomics.load(shared, 0) === messages;
        console.log(`${good ? 'ok' : 'wrong'} rate=${Math.round(messages / seconds)}`);
        process.exit(good ? 0 : 1);
    });
}
