// What the linter cannot see: npm run lint.
import { ambientTime } from './checks/ambient-time.ts';
import { foreignText } from './checks/foreign-text.ts';
import { report } from './checks/problem.ts';
import { projectRoot, readProjectFiles } from './checks/project-files.ts';
import { missingRootTests } from './checks/root-tests.ts';
import { differentRooms } from './checks/rooms.ts';

const files = readProjectFiles(projectRoot);
report([...differentRooms(files), ...missingRootTests(files), ...ambientTime(files), ...foreignText(files)], 'sources');
