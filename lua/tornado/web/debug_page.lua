-- The page of an uncaught error while developing (the setting debug): where it is, with the
-- source, the variables, the stack and the request. HTML for browsers, plain text for others.
-- It needs nothing but itself, and is never made without the setting.
local accept = require "tornado.web.accept"
local capture = require "tornado.web.debug_page.capture"
local escape = require "tornado.escape"
local shown = require "tornado.web.debug_page.shown"
local style = require "tornado.web.debug_page.style"

local format = string.format

local debug_page = {}

local AROUND = 5 -- lines of source on either side
local MAX_SOURCE = 4 * 1024 * 1024

debug_page.enable = capture.enable
debug_page.disable = capture.disable

-- As HTML; bytes that are not UTF-8 are shown as U+FFFD.
local function html(text)
    local encoded = text:gsub("%%", "%%25")
    return escape.xhtml_escape(escape.url_unescape(encoded, "utf-8", false))
end

-- The lines around the frame's line as { number, text }; nil when there is no such file.
local function excerpt(frame)
    if not frame.file or frame.own or frame.line < 1 then return nil end
    local file = io.open(frame.file, "rb")
    if not file then return nil end
    local text = file:read(MAX_SOURCE) or ""
    file:close()
    local lines, n = {}, 0
    for line in (text .. "\n"):gmatch("(.-)\r?\n") do
        n = n + 1
        if n > frame.line + AROUND then break end
        if n >= frame.line - AROUND then
            lines[#lines + 1] = { n, shown.mask_source(line:sub(1, 400)) }
        end
    end
    while #lines > 0 and lines[#lines][2]:find("^%s*$") do lines[#lines] = nil end
    return #lines > 0 and lines or nil
end

local function function_name(frame)
    if frame.main then return "the file itself" end
    if frame.name then return frame.name .. "()" end
    return "function at line " .. frame.defined
end

-- The first frame of the application's own.
local function failing(frames)
    for _, frame in ipairs(frames) do
        if not frame.own and not frame.c then return frame end
    end
    return frames[1]
end

local function request_lines(handler)
    local request, out = handler.request, {}
    for name, value in request.headers:get_all() do
        if shown.is_secret(name) then value = "[hidden]" end
        out[#out + 1] = { name, shown.mask(value) }
    end
    return {
        line = ("%s %s %s"):format(request.method, shown.mask(request.uri), request.version),
        ip = request.remote_ip or "unknown", class = tostring(handler.class), headers = out,
        id = request.id,
    }
end

-- Plain text -----------------------------------------------------------------------------

local function add_excerpt(out, frame)
    local lines = frame and excerpt(frame)
    if not lines then return end
    out[#out + 1] = format("\n%s:%d", frame.source, frame.line)
    for _, line in ipairs(lines) do
        out[#out + 1] = format("%s %4d | %s", line[1] == frame.line and ">" or " ", line[1],
            line[2])
    end
end

local function add_locals(out, frame)
    if not frame or not frame.locals or #frame.locals == 0 then return end
    out[#out + 1] = "\nlocals of " .. function_name(frame)
    for _, pair in ipairs(frame.locals) do
        out[#out + 1] = "  " .. pair[1] .. " = " .. pair[2]
    end
end

local function plain(view)
    local out = { view.traceback }
    for _, record in ipairs(view.others) do
        out[#out + 1] = "\nraised before in another coroutine:\n" .. record.trace
    end
    add_excerpt(out, view.failing)
    add_locals(out, view.failing)
    out[#out + 1] = "\n" .. view.request.line .. "  (from " .. view.request.ip .. ", id " ..
        view.request.id .. ")"
    for _, header in ipairs(view.request.headers) do
        out[#out + 1] = "  " .. header[1] .. ": " .. header[2]
    end
    return table.concat(out, "\n") .. "\n"
end

-- HTML -------------------------------------------------------------------------------------

local function put(out, text, ...)
    out[#out + 1] = select("#", ...) > 0 and format(text, ...) or text
end

local function put_source(out, frame)
    local lines = excerpt(frame)
    if not lines then return end
    put(out, '<pre class="source" tabindex="0"><code>')
    for _, line in ipairs(lines) do
        put(out, '<span class="%s"><i>%d</i>%s</span>', line[1] == frame.line and "line bad" or
            "line", line[1], line[2] == "" and " " or html(line[2]))
    end
    put(out, "</code></pre>")
end

local function put_pairs(out, class, list)
    put(out, '<table class="%s">', class)
    for _, pair in ipairs(list) do
        local hidden = pair[2] == "[hidden]" and ' class="hidden"' or ""
        put(out, "<tr><th>%s</th><td%s><code>%s</code></td></tr>", html(pair[1]), hidden,
            html(pair[2]))
    end
    put(out, "</table>")
end

local function put_frame(out, frame, open)
    local place = frame.c and "builtin" or frame.source .. ":" .. frame.line
    if frame.own or frame.c then
        put(out, '<div class="frame own"><b>%s</b> <small>%s</small></div>',
            html(function_name(frame)), html(place))
        return
    end
    put(out, '<details class="frame"%s><summary><b>%s</b> <small>%s</small></summary>',
        open and " open" or "", html(function_name(frame)), html(place))
    put_source(out, frame)
    if #frame.locals > 0 then put_pairs(out, "locals", frame.locals) end
    put(out, "</details>")
end

local function put_stack(out, title, frames)
    if #frames == 0 then return end
    local first, own = failing(frames), 0
    put(out, "<section><h2>%s</h2>", html(title))
    local inside = {}
    for _, frame in ipairs(frames) do
        if frame.own or frame.c then
            own = own + 1
            put_frame(inside, frame)
        else
            put_frame(out, frame, frame == first)
        end
    end
    if own > 0 then
        put(out, '<details class="frame quiet"><summary>%d frames of the framework</summary>%s' ..
            "</details>", own, table.concat(inside))
    end
    put(out, "</section>")
end

local function put_head(out, view)
    put(out, '<!doctype html><html lang="en"><head><meta charset="utf-8">' ..
        '<meta name="viewport" content="width=device-width, initial-scale=1">' ..
        '<meta name="color-scheme" content="light dark"><title>%s</title>' ..
        '<style nonce="%s">%s</style></head><body>', html(view.message:sub(1, 120)),
        html(view.nonce), style)
    put(out, '<header><p class="status">%d <span>%s</span></p><h1>%s</h1>', view.status,
        html(view.request.line), html(view.message))
    if view.failing and view.failing.line > 0 then
        put(out, '<p class="place">%s<span>:%d</span> in <code>%s</code></p>',
            html(view.failing.source), view.failing.line, html(function_name(view.failing)))
    end
    put(out, "</header><main>")
end

local function page(view)
    local out = {}
    put_head(out, view)
    for i, record in ipairs(view.others) do
        put_stack(out, i == 1 and "Where it was raised, in a coroutine of its own" or
            "And then in another one", record.frames)
    end
    put_stack(out, view.others[1] and "And then in the coroutine of the request" or
        "Where it was raised", view.frames)
    put(out, '<section><h2>Request</h2><p class="request"><code>%s</code> <small>from %s, ' ..
        "id %s, handled by %s</small></p>", html(view.request.line), html(view.request.ip),
        html(view.request.id), html(view.request.class))
    put_pairs(out, "headers", view.request.headers)
    put(out, '</section><section><details class="frame"><summary>Traceback</summary>' ..
        '<pre tabindex="0"><code>%s</code></pre></details></section></main>',
        html(view.traceback))
    put(out, "<footer>This page is shown because the setting <code>debug</code> is on. " ..
        "Clients must not see it.</footer></body></html>\n")
    return table.concat(out)
end

--- Answers with the page of an error: for write_error(), with the setting debug alone.
function debug_page.write(handler, status, err, traceback)
    local frames, others = capture.take(traceback, err)
    local origin = others[1] and others[1].frames or frames
    local view = {
        status = status, message = shown.message(err), traceback = traceback, frames = frames,
        others = others, failing = failing(origin), request = request_lines(handler),
    }
    handler:set_header("Cache-Control", "no-store")
    if accept.prefers_html(handler.request) then
        view.nonce = handler:csp_nonce()
        handler:finish(page(view))
        return
    end
    handler:set_header("Content-Type", "text/plain; charset=UTF-8")
    handler:finish(plain(view))
end

return debug_page
