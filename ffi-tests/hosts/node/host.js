// SPDX-License-Identifier: MPL-2.0
// host.js DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
const { spawn } = require('child_process');
const { once } = require('events');
const { promisify } = require('util');
const koffi = require('koffi');

const library = koffi.load('libproxyprocess.so');
koffi.struct('Options', { struct_size: 'uint32', allow_root: 'uint8', data_dir: 'str', rest: koffi.array('uint64', 10) });
const initialize = library.func('int proxyprocess_manager_options_init(_Out_ Options *, size_t)');
const message = library.func('str proxyprocess_error_message(void *, void *)');
const free = library.func('void proxyprocess_text_free(void *)');
const functions = Object.fromEntries([
  'state_new(_Out_ void **', 'state_replace_all_json(void *, str, size_t', 'manager_new(void *, Options *, _Out_ void **',
  'manager_events(void *, _Out_ void **', 'manager_restore(void *, str', 'manager_start(void *', 'manager_kill(void *',
  'events_next(void *, uint64, void *', 'event_json(void *, _Out_ void **, void *',
].map((text) => [text.split('(')[0], library.func(`int proxyprocess_${text}, _Out_ void **)`)]));

function check(code, error) {
  if (code !== 0) throw new Error(message(error[0], null));
}

function call(name, ...args) {
  const error = [null];
  check(functions[name](...args, error), error);
}

// On a thread of libuv, so that the main one goes on.
async function callAside(name, ...args) {
  const error = [null];
  check(await promisify(functions[name].async)(...args, error), error);
}

async function follow(events, turnMs) {
  for (const event = Buffer.alloc(88), json = [null]; ;) {
    event.writeUInt32LE(event.length);
    await callAside('events_next', events, turnMs, event);
    const kind = event.readInt32LE(4);
    if (kind <= 1) { // NONE or END
      console.log('turn');
      continue;
    }
    call('event_json', event, json, null);
    console.log(koffi.decode(json[0], 'char', -1));
    free(json[0]);
  }
}

async function main(dataDir, proxies, turnMs, end) {
  const [state, manager, events, options] = [[null], [null], [null], {}];
  initialize(options, 96);
  Object.assign(options, { data_dir: dataDir, allow_root: 1 });
  call('state_new', state);
  call('state_replace_all_json', state[0], proxies, Buffer.byteLength(proxies));
  call('manager_new', state[0], options, manager);
  call('manager_events', manager[0], events); // before the restore, to see adoptions
  call('manager_restore', manager[0], null);
  call('manager_start', manager[0]);
  process.on('SIGINT', async () => {
    console.log('interrupted');
    if (end === 'kill') await callAside('manager_kill', manager[0]); // else the proxies run on, for the next host
    process.exit();
  });
  follow(events[0], Number(turnMs));
  let own = 0;
  for (let i = 0; i < 20; i++) own += (await once(spawn('./child'), 'exit'))[0] === 3;
  console.log(`own ${own} of 20\nfork none`);
}

main(...process.argv.slice(2));
