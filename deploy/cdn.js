// Runs in CloudFront for published paths that name no format, on the request and on its response:
// `/<folder>/<revision>/w640` is answered with the best format that `Accept` allows. Any other path passes
// unchanged. What is cached is cached under the path that this makes, so `Accept` is no part of the key.
//
// `${Formats}` is filled in, by template.yaml and by the local CDN: the recipe's formats in its order and,
// after the name of a rendition, those that it has instead: `avif,jpeg thumb=webp,jpeg`.
const FORMATS = '${Formats}';

const EXTENSIONS = { avif: 'avif', webp: 'webp', jpeg: 'jpg', png: 'png' };
// What everything shows, asked for or not.
const PLAIN = ['jpeg', 'png'];
const WITHOUT_FORMAT = /^\/.+\/[0-9a-f]{12}\/([a-z0-9_-]{1,32})$/;

function handler(event) {
    return event.context.eventType === 'viewer-response' ? varied(event.response) : negotiated(event.request);
}

function negotiated(request) {
    const named = WITHOUT_FORMAT.exec(request.uri);
    if (named) {
        request.uri += '.' + EXTENSIONS[best(formats(named[1]), asked(values(request.headers.accept)))];
    }
    return request;
}

// Caches between here and the viewer must know that another viewer may get another format.
function varied(response) {
    const others = values(response.headers.vary);
    const isTold = others.some(name => name === '*' || name.toLowerCase() === 'accept');
    response.headers.vary = { value: (isTold ? others : others.concat('Accept')).join(', ') };
    return response;
}

// What a header lists, in however many lines: of several, `value` is the first alone.
function values(header) {
    const lines = header ? header.multiValue || [header] : [];
    return lines.map(line => line.value).join(',').split(',').map(one => one.trim()).filter(one => one);
}

function formats(name) {
    const lists = FORMATS.split(' ');
    const own = lists.find(list => list.startsWith(name + '='));
    return (own ? own.slice(name.length + 1) : lists[0]).split(',');
}

// The media types that the viewer names and does not refuse. A wildcard names none: old ones send it too.
function asked(ranges) {
    return ranges.map(range => range.toLowerCase().split(';').map(part => part.trim()))
        .filter(parts => !parts.slice(1).some(part => /^q=0(\.0{0,3})?$/.test(part)))
        .map(parts => parts[0]);
}

function best(formats, asked) {
    const shown = formats.find(format => PLAIN.includes(format) || asked.includes('image/' + format));
    return shown || formats[formats.length - 1];
}
