#!/usr/bin/env node
// Starts src/main.ts on the Node that package.json pins. Runs on Node 20 and newer, without dependencies.
import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findPinnedNode, root, version, whyNoNode } from './pinned-node.mjs';

const main = join(root, 'src/main.ts');
const exitConfiguration = 10;
/** Of a loader that does not find a library; the manager never ends so. */
const exitNotLoaded = 127;

function isNewEnough(current, wanted) {
  const [ours, theirs] = [current, wanted].map((text) => text.split('.').map(Number));
  const different = ours.findIndex((number, index) => number !== theirs[index]);
  return different === -1 || ours[different] > theirs[different];
}

function refuse({ message, hint }) {
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: { code: 'configuration', message, hint } }, null, 2)}\n`);
  } else {
    process.stderr.write(`Error: ${message}.\n${hint}\n`);
  }
  process.exitCode = exitConfiguration;
}

/**
 * A directory for compiled code, which halves the start. Whoever can write there runs code as us: it is used only if
 * nobody but this user and root can write to it or replace it.
 */
function compileCacheDirectory() {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE, XDG_CACHE_HOME } = process.env;
  if (NODE_COMPILE_CACHE !== undefined || NODE_DISABLE_COMPILE_CACHE !== undefined) return undefined;
  try {
    const base = XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache');
    const directory = join(base, 'enclave-manager/node');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return isOurs(directory) ? directory : undefined;
  } catch {
    return undefined;
  }
}

function isOurs(directory) {
  const { uid, mode } = lstatSync(directory);
  const isSticky = (mode & 0o1000) !== 0;
  const writableByOthers = (mode & 0o022) !== 0 && !isSticky;
  if ((mode & 0o170000) !== 0o040000 || ![0, process.getuid()].includes(uid) || writableByOthers) return false;
  return dirname(directory) === directory || isOurs(dirname(directory));
}

async function runHere() {
  const cache = compileCacheDirectory();
  if (cache !== undefined) module.enableCompileCache?.(cache);
  await import(pathToFileURL(main).href);
}

/** Killed, npm passes no signal on, and the manager would go on unseen. */
function whenParentEnds(act) {
  const parent = process.ppid;
  const look = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(look);
    act();
  }, 200);
  look.unref();
}

async function notLoaded(node) {
  const why = (await import('./why-not-started.mjs')).whyNotLoaded(node);
  if (why === undefined) process.exitCode = exitNotLoaded;
  else refuse(why);
}

function runOn(node) {
  const cache = compileCacheDirectory();
  const env = cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: cache };
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit', env });
  // A terminal sends Ctrl-C to both of us, kill only to this process: the manager may hear it twice.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  if (['start', 'npx'].includes(process.env.npm_lifecycle_event ?? '')) whenParentEnds(() => child.kill('SIGTERM'));
  child.on('error', async (error) => refuse((await import('./why-not-started.mjs')).whyNotSpawned(node, error)));
  child.on('exit', async (code, signal) => {
    if (code === exitNotLoaded) await notLoaded(node);
    else if (signal === null) process.exitCode = code;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}

const pinnedNode = findPinnedNode();
if (process.versions.node === version || (pinnedNode === undefined && isNewEnough(process.versions.node, version))) {
  await runHere();
} else if (pinnedNode === undefined) {
  refuse(whyNoNode());
} else runOn(pinnedNode);
