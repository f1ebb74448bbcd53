-- The pages of the admin listener.
local core = require "tornado.core"
local escape = require "tornado.escape"
local readiness = require "tornado.admin.readiness"
local RequestHandler = require "tornado.web.handler"
require "tornado.web" -- what a handler reads and writes

local JSON = "application/json; charset=UTF-8"

local Page = RequestHandler:extend "AdminPage"

function Page:set_default_headers()
    self:set_header("Cache-Control", "no-store")
    self:set_header("X-Content-Type-Options", "nosniff")
end

-- What it says is never the same for long.
function Page.compute_etag() end

-- C leaves the body of an answer to HEAD out.
function Page:head()
    return self:get()
end

function Page:send_json(text)
    self:set_header("Content-Type", JSON)
    self:write(text)
end

-- /health: 200 while the process answers at all.
local Health = Page:extend "AdminHealth"

function Health:get()
    self:send_json(escape.json_encode { healthy = true, state = core.server_state() } .. "\n")
end

-- /ready: 503 when no requests shall be sent here.
local Ready = Page:extend "AdminReady"

function Ready:get()
    local report = readiness.look()
    if not report.ready then self:set_status(503) end
    self:send_json(escape.json_encode(report) .. "\n")
end

-- /status: as `ctornado status json`.
local Status = Page:extend "AdminStatus"

function Status:get()
    self:send_json(core.server_status())
end

local Index = Page:extend "AdminIndex"

local INDEX = [[
/health         200 while the server answers
/ready          200 when requests may be sent to it, else 503
/status         its processes (JSON)
]]

function Index:get()
    self:set_header("Content-Type", "text/plain; charset=UTF-8")
    self:write(INDEX)
end

return {
    { "/", Index },
    { "/health", Health },
    { "/ready", Ready },
    { "/status", Status },
}
