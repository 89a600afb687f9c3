from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model, password_validation, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from bots.sentences import sentences
from dashboard.scope import Owner
from dashboard.views.currency import CurrencyForm, preferred


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = get_user_model()
        fields = ("first_name", "last_name", "email")
        error_messages = {
            "first_name": sentences("first name"),
            "last_name": sentences("last name"),
            "email": sentences(
                "email address", invalid="email address must be such as ann@example.org, not '%(value)s'."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _style(self, {"first_name": "given-name", "last_name": "family-name", "email": "email"})


class OwnPasswordForm(PasswordChangeForm):
    error_messages = PasswordChangeForm.error_messages | {
        "password_incorrect": "old password must be the one that you log in with now.",
        "password_mismatch": "new password confirmation must be the same as the new password.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django's own is a list, which has no place in a line of text.
        self.fields["new_password1"].help_text = " ".join(password_validation.password_validators_help_texts())
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        for field in self.fields.values():
            field.error_messages |= sentences(str(field.label).lower())
        _style(self, {})


def _style(form: forms.BaseForm, complete: dict[str, str]) -> None:
    for name, field in form.fields.items():
        field.widget.attrs["class"] = "form-control"
        if name in complete:
            field.widget.attrs["autocomplete"] = complete[name]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The settings; POST saves name and mail."""
    # A copy: a form writes what was typed into its row, right or wrong, and the page shows who is logged in.
    visitor: Owner = request.user
    own = get_user_model().objects.get(pk=visitor.pk)
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=own)
    if form.is_bound and form.is_valid():
        form.save()
        messages.success(request, "Your profile is saved.")
        return redirect("settings")
    return _page(request, profile_form=form)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """POST changes the password: this session goes on, all others end."""
    if request.method != "POST":
        return redirect("settings")
    form = OwnPasswordForm(request.user, request.POST)
    if form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, "Your password is changed. Other sessions of yours are logged out.")
        return redirect("settings")
    return _page(request, password_form=form)


def _page(request: HttpRequest, profile_form: Any = None, password_form: Any = None) -> HttpResponse:
    context = {
        "nav": "settings",
        "profile": profile_form or ProfileForm(instance=request.user),
        "currency": CurrencyForm(request.user, {"currency": preferred(request)}),
        "password": password_form or OwnPasswordForm(request.user),
    }
    wrong = any(form is not None and form.errors for form in (profile_form, password_form))
    return render(request, "dashboard/settings.html", context, status=422 if wrong else 200)
