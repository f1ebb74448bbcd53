-- The pages of the admin listener.
local core = require "tornado.core"
local escape = require "tornado.escape"
local metrics = require "tornado.metrics"
local readiness = require "tornado.admin.readiness"
local RequestHandler = require "tornado.web.handler"
require "tornado.web" -- what a handler reads and writes

local JSON = "application/json; charset=UTF-8"

local Page = RequestHandler:extend "AdminPage"

Page._is_uncounted = true

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

-- /metrics: for Prometheus; with ?format=json as /metrics.json.
local Metrics = Page:extend "AdminMetrics"

function Metrics:get()
    if self:get_query_argument("format", "") == "json" then
        return self:send_json(metrics.json())
    end
    self:set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    self:write(metrics.text())
end

local MetricsJson = Page:extend "AdminMetricsJson"

function MetricsJson:get()
    self:send_json(metrics.json())
end

-- /errors: the last errors of the log.
local Errors = Page:extend "AdminErrors"

function Errors:get()
    self:send_json(metrics.errors())
end

local rules = {
    { "/health", Health },
    { "/ready", Ready },
    { "/status", Status },
    { "/metrics", Metrics },
    { "/metrics.json", MetricsJson },
    { "/errors", Errors },
}

for _, rule in ipairs(require "tornado.admin.dashboard") do rules[#rules + 1] = rule end

return rules
