// Plays scenarios: `node run.js CLIENT BACKEND[,BACKEND...] [SCENARIO...]`.
//
// `BUSBAR_URL` is where the calls go. Through a gateway its models are named `BACKEND-SCENARIO`; BACKEND `straight`
// is the simulator itself. One line a backend, scenario and mode, then a summary; the exit code is 1 when one failed.

import { scenarios } from './scenarios.js';

// Longest reason in a line.
const MAX_REASON = 600;

class Skip extends Error {}

const [, , name, backends, ...chosen] = process.argv;
const { default: client } = await import(`./clients/${name}.js`);
const counts = { ok: 0, FAIL: 0, skip: 0 };

for (const asked of backends.split(',')) {
  const straight = asked === 'straight';
  const backend = straight ? name.replace(/^ai_/, '') : asked;
  const model = (scenario) => (straight ? `sim-${scenario}` : `${backend}-${scenario}`);
  for (const scenario of chosen.length ? chosen : Object.keys(scenarios)) {
    for (const stream of [false, true]) {
      const said = await play(scenarios[scenario], {
        client,
        backend,
        stream,
        model,
        ask: (played, turns, more = {}) => client.ask({ model: model(played), turns, stream, ...more }),
        skips: (feature) => feature in client.unsupported,
        needs: (feature) => {
          if (feature in client.unsupported) throw new Skip(client.unsupported[feature]);
        },
      });
      counts[said.split(' ')[0]] += 1;
      console.log(`${asked}/${scenario}/${stream ? 'stream' : 'buffered'}: ${said}`);
    }
  }
}
console.log(`${counts.ok} passed, ${counts.FAIL} failed, ${counts.skip} skipped`);
process.exit(counts.FAIL ? 1 : 0);

async function play(scenario, pair) {
  try {
    await scenario(pair);
    return 'ok';
  } catch (error) {
    if (error instanceof Skip) return `skip ${error.message}`;
    const place = /scenarios\.js:\d+/.exec(error?.stack)?.[0] ?? '';
    const reason = `${error?.constructor?.name} ${error?.message ?? JSON.stringify(error)} (${place})`.replaceAll(/\s+/g, ' ');
    return `FAIL ${reason.slice(0, MAX_REASON)}`;
  }
}
