"""Addresses of the automation room in the API."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from claimkit_django.automation.rest import ApprovalViewSet, ExecutionViewSet, WorkViewSet
from claimkit_django.automation.rest_rules import AutomationRuleViewSet

router = SimpleRouter()
router.register("automation/rules", AutomationRuleViewSet, basename="automation-rule")
router.register("automation/executions", ExecutionViewSet, basename="automation-execution")
router.register("automation/approvals", ApprovalViewSet, basename="automation-approval")
router.register("automation/work", WorkViewSet, basename="automation-work")

urlpatterns = router.urls
