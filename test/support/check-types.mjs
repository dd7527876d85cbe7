/**
 * Prints what the compiler has to say about the files of one project, and about no file that they import: those have
 * `npm run typecheck`, and looking at them again would take as long as all else.
 */
import ts from 'typescript';

const [project = ''] = process.argv.slice(2);
const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (problem) => report([problem]) };
const { fileNames, options } = ts.getParsedCommandLineOfConfigFile(project, {}, host);
const program = ts.createProgram(fileNames, options);

for (const file of fileNames.map((name) => program.getSourceFile(name))) {
  report([...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]);
}

function report(problems) {
  const { sys } = ts;
  const format = { getCurrentDirectory: sys.getCurrentDirectory, getNewLine: () => '\n', getCanonicalFileName: String };
  process.stdout.write(ts.formatDiagnostics(problems, format));
}
