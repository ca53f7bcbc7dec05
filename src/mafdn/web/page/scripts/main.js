// The page: puts its parts together.
import { Compare } from "./compare/view.js";
import { fillIcons, find, show } from "./dom.js";
import { enter } from "./entry.js";
import { Options } from "./options.js";
import { Bar } from "./pictures/bar.js";
import { Estimates } from "./pictures/estimates.js";
import { expectEndings, takeIn } from "./pictures/intake.js";
import { Items } from "./pictures/items.js";
import { Jobs } from "./pictures/jobs.js";
import { showList } from "./pictures/list.js";
import { Queue } from "./pictures/queue.js";
import { keeping, mayRemove } from "./pictures/removal.js";
import { makeThumbnails } from "./pictures/thumbnails.js";
import { fillTexts, say } from "./say.js";

const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

fillTexts(document);
fillIcons();
document.title = say("page.title");
const items = new Items();
const jobs = new Jobs(items);
const options = new Options();
const queue = new Queue(items, jobs, options);
const compare = new Compare(items);
const bar = new Bar(items, queue);
new Estimates(items, options, (total) => bar.total(total));
showList(items, {
  compare: (item) => compare.open(item),
  cancel: (item) => queue.cancel(item),
  retry: (item) => queue.retry(item),
  remove: async (chosen) => {
    const may = await mayRemove(chosen);
    if (may) for (const item of chosen) queue.remove(item);
    return may;
  },
});
makeThumbnails(items);
takeIn((files) => {
  for (const { file, folder } of files) items.add({ file, folder, name: file.name, bytes: file.size });
});
document.body.classList.remove("starting");

const info = await enter();
options.limitTo({
  formats: info.formats,
  networks: info.networks.map((network) => network.name),
  defaultNetwork: info.default_network,
});
expectEndings(info.read_suffixes, info.film_suffixes);
show(find("kept"), keeping(info.limits));
const privacy = LOCAL.test(location.hostname) ? say("page.local") : say("page.remote", { host: location.host });
find("about").textContent = say("page.about", { privacy, version: info.version });
jobs.follow();
